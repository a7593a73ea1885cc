defmodule Weir.NativeMisuseTest do
  @moduledoc "Every argument of every function of the NIF, with values of the wrong type and size."
  use ExUnit.Case

  alias Weir.Native
  alias Weir.TestSupport.NativeCalls

  # Text arguments whose rules go beyond type and size; the calls' own tests cover them.
  @seed ExUnit.configuration()[:seed] || 0

  setup do
    directory =
      Path.join(
        System.tmp_dir!(),
        "weir-misuse-#{System.pid()}-#{System.unique_integer([:positive])}"
      )

    File.mkdir!(directory)
    File.chmod!(directory, 0o700)
    on_exit(fn -> File.rm_rf!(directory) end)
    resources = NativeCalls.resources(directory)
    on_exit(fn -> NativeCalls.close(resources) end)
    %{resources: resources}
  end

  test "the table names each function with its arguments" do
    table = for {name, kinds} <- NativeCalls.calls(), do: {name, length(kinds)}
    assert Enum.sort(table) == Enum.sort(Native.module_info(:nifs))
  end

  for {name, kinds} <- NativeCalls.calls(), {kind, at} <- Enum.with_index(kinds) do
    test "#{name}/#{length(kinds)} refuses a wrong argument #{at + 1}", %{resources: resources} do
      kinds = Keyword.fetch!(NativeCalls.calls(), unquote(name))
      valid = Enum.map(kinds, &NativeCalls.valid(&1, resources))

      wrongs =
        if unquote(Macro.escape(if(is_atom(kind), do: kind))) == :slot,
          do: [10, -1, :a, 1.0, 0x1_0000_0000],
          else: NativeCalls.wrong(Enum.at(kinds, unquote(at)), resources)

      assert wrongs != []

      for wrong <- wrongs do
        arguments = List.replace_at(valid, unquote(at), wrong)

        assert_raise ArgumentError, "argument error", fn ->
          result = apply(Native, unquote(name), arguments)
          flunk("#{unquote(name)} took #{inspect(wrong)} and answered #{inspect(result)}")
        end
      end
    end
  end

  test "random arguments never end the virtual machine", %{resources: resources} do
    :rand.seed(:exsss, {@seed, 7, 11})
    calls = Enum.reject(NativeCalls.calls(), fn {_, kinds} -> kinds == [] end)

    for _ <- 1..3_000 do
      {name, kinds} = Enum.random(calls)
      arguments = Enum.map(kinds, &argument(&1, resources))

      # A process of its own: what it made goes with it, and what it closed is closed.
      {pid, monitor} = spawn_monitor(fn -> answer(name, arguments) end)
      assert_receive {:DOWN, ^monitor, :process, ^pid, :normal}, 30_000
    end

    assert Native.version() != ""
  end

  # Answers, refusals and badarg are all well; anything else is not.
  defp answer(name, arguments) do
    apply(Native, name, arguments)
  rescue
    ArgumentError -> :badarg
  end

  defp argument(kind, resources) do
    case :rand.uniform(10) do
      n when n <= 6 -> NativeCalls.valid(kind, resources)
      n when n <= 8 -> Enum.random(NativeCalls.wrong(kind, resources))
      _ -> random_term(3)
    end
  end

  defp random_term(depth) do
    case :rand.uniform(if(depth > 0, do: 9, else: 5)) do
      1 -> :rand.uniform(0x1_0000_0000_0000_0000_0000) - 0x8000_0000_0000
      2 -> :rand.bytes(:rand.uniform(200) - 1)
      3 -> Enum.random([:ok, nil, true, :worker, :request, :infinity])
      4 -> :rand.uniform() * 1.0e300
      5 -> Enum.random([self(), make_ref(), fn -> :ok end])
      6 -> for _ <- 1..:rand.uniform(4), do: random_term(depth - 1)
      7 -> List.to_tuple(for _ <- 1..:rand.uniform(4), do: random_term(depth - 1))
      8 -> for _ <- 1..:rand.uniform(4), into: %{}, do: {random_term(0), random_term(depth - 1)}
      9 -> [random_term(depth - 1) | random_term(0)]
    end
  end
end
