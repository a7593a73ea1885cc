defmodule Weir.ConsumerTest do
  use ExUnit.Case

  import Weir.TestSupport.Instances, only: [directory!: 0]

  @moduletag timeout: 600_000

  # A project that depends on this one, as a user would write it.
  @files %{
    "mix.exs" => """
    defmodule Demo.MixProject do
      use Mix.Project

      def project do
        [app: :demo, version: "0.1.0", elixir: "~> 1.14", deps: [{:weir, path: "WEIR"}]]
      end

      def application, do: [mod: {Demo, []}, extra_applications: [:logger]]
    end
    """,
    "lib/demo.ex" => """
    defmodule Demo do
      use Application

      @impl true
      def start(_type, _args) do
        pool = [name: :loopback, command: ["weir-loopback"]]
        Supervisor.start_link([{Weir, name: Demo.Weir, pools: [pool]}], strategy: :one_for_one)
      end

      def shout(text) do
        :ok = Weir.await_ready(Demo.Weir, 30_000)
        Weir.run!(Demo.Weir, {:echo, text}).payload
      end
    end
    """,
    "test/test_helper.exs" => "ExUnit.start()\n",
    "test/demo_test.exs" => """
    defmodule DemoTest do
      use ExUnit.Case

      test "the application's own instance works" do
        assert Demo.shout("hello") == "hello"
      end

      test "an instance for a test works" do
        pool = [name: :loopback, command: ["weir-loopback"]]
        start_supervised!({Weir, name: DemoTest.Weir, pools: [pool]})
        assert Weir.await_ready(DemoTest.Weir, 30_000) == :ok
        assert {:ok, %Weir.Result{payload: "x"}} = Weir.run(DemoTest.Weir, {:echo, "x"})
      end
    end
    """
  }

  test "a project that depends on :weir passes its tests and runs from a release" do
    root = directory!()
    project = Path.join(root, "demo")

    for {file, text} <- @files do
      path = Path.join(project, file)
      File.mkdir_p!(Path.dirname(path))
      File.write!(path, String.replace(text, "WEIR", File.cwd!()))
    end

    # A home without Hex: nobody may be asked for anything.
    home = Path.join(root, "home")
    runtime = Path.join(root, "runtime")
    for path <- [home, runtime], do: File.mkdir_p!(path)
    File.chmod!(runtime, 0o700)

    env = [
      {"HOME", home},
      {"MIX_HOME", nil},
      {"MIX_BUILD_PATH", nil},
      {"WEIR_RUNTIME_DIR", runtime}
    ]

    output = mix(project, ["test"], [{"MIX_ENV", nil} | env])
    assert output =~ "2 tests, 0 failures"
    refute output =~ "Shall I install Hex"
    refute output =~ "warning:"

    assert mix(project, ["compile"], [{"MIX_ENV", "test"} | env]) == ""

    assert mix(project, ["release"], [{"MIX_ENV", "prod"} | env]) =~ "Release created"
    release = Path.join(root, "elsewhere")
    File.rename!(Path.join(project, "_build/prod/rel/demo"), release)
    File.rm_rf!(project)

    # `eval` ends by a halt, which stops no application.
    code = ~S"""
    {:ok, _} = Application.ensure_all_started(:demo)
    IO.puts("says " <> Demo.shout("hi"))
    :ok = Application.stop(:demo)
    """

    {output, status} = run(Path.join(release, "bin/demo"), ["eval", code], root, env)
    assert status == 0
    # Beside what the log says.
    assert output =~ ~r/^says hi$/m
    assert File.ls!(runtime) == []
  end

  defp mix(project, arguments, env) do
    {output, status} = run(System.find_executable("mix"), arguments, project, env)
    assert status == 0, "mix #{Enum.join(arguments, " ")} ended with #{status}:\n#{output}"
    output
  end

  # Standard input is at its end, so a question would end the command.
  defp run(program, arguments, directory, env) do
    System.cmd("/bin/sh", ["-c", ~S(exec "$0" "$@" </dev/null), program | arguments],
      cd: directory,
      env: env,
      stderr_to_stdout: true
    )
  end
end
