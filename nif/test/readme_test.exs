defmodule Weir.ReadmeTest do
  use ExUnit.Case

  import Weir.TestSupport.Instances, only: [directory!: 0]

  @readme Path.expand("../README.md", __DIR__)

  # As much of Phoenix as the snippets use.
  defmodule Standins do
    @moduledoc false

    def define do
      Code.compile_string("""
      defmodule MyAppWeb.Controller do
        def put_status(conn, status), do: %{conn | status: status}
        def json(conn, body), do: %{conn | body: body}
      end

      defmodule MyAppWeb do
        defmacro __using__(:controller), do: quote(do: import(MyAppWeb.Controller))
      end

      defmodule MyAppWeb.Endpoint do
        use Agent
        def start_link(_), do: Agent.start_link(fn -> :listening end, name: __MODULE__)
      end
      """)
    end
  end

  defp snippets do
    for [whole, code] <- Regex.scan(~r/^```elixir\n(.*?)^```$/ms, File.read!(@readme)) do
      [before | _] = String.split(File.read!(@readme), whole)
      {code, length(String.split(before, "\n")) + 1}
    end
  end

  test "the snippets compile without a warning and work together" do
    previous = System.get_env("WEIR_RUNTIME_DIR")
    System.put_env("WEIR_RUNTIME_DIR", directory!())

    on_exit(fn ->
      if previous,
        do: System.put_env("WEIR_RUNTIME_DIR", previous),
        else: System.delete_env("WEIR_RUNTIME_DIR")
    end)

    Standins.define()
    snippets = snippets()
    assert length(snippets) == 2

    warnings =
      ExUnit.CaptureIO.capture_io(:stderr, fn ->
        for {code, line} <- snippets do
          assert [{_, _} | _] = Code.compile_string(code, "#{@readme}:#{line}")
        end
      end)

    assert warnings == ""

    # By variables, because the modules are not there when this is compiled.
    [application, controller] = [MyApp.Application, MyAppWeb.ChecksumController]

    start_supervised!(%{
      id: application,
      start: {application, :start, [:normal, []]},
      type: :supervisor
    })

    :ok = Weir.await_ready(MyApp.Weir, 30_000)
    conn = %{status: 200, body: nil}
    answer = controller.create(conn, %{"text" => "123456789"})
    # The check value of CRC-32C (RFC 3720).
    assert answer == %{status: 200, body: %{bytes: 9, crc32c: 0xE3069283}}

    too_long = String.duplicate("x", 2_000_000)

    assert %{status: 500, body: %{error: sentence}} =
             controller.create(conn, %{"text" => too_long})

    assert sentence =~ "job :crc of pool :checksums ended as oversize"
  end

  test "what it says of functions and options is there" do
    text = File.read!(@readme)

    for [_, module, function, arity] <- Regex.scan(~r/`(Weir[.\w]*)\.(\w+!?)\/(\d)`/, text) do
      module = Module.concat([module])
      assert Code.ensure_loaded?(module)

      assert function_exported?(
               module,
               String.to_existing_atom(function),
               String.to_integer(arity)
             )
    end

    for [_, module] <- Regex.scan(~r/`(Weir(?:\.[A-Z]\w*)+)`/, text) do
      assert Code.ensure_loaded?(Module.concat([module])), "#{module} is not there"
    end
  end

  test "the outcomes that it lists are those of the layout" do
    text = File.read!(@readme)

    for code <- 2..11 do
      outcome = Weir.Layout.Generated.outcome_name(code)
      assert text =~ "`:#{outcome}`"
      assert Weir.Error.sentence(outcome) != ""
    end
  end
end
