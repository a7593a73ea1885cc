defmodule Mix.Tasks.Compile.WeirNif do
  @shortdoc "Builds Weir's NIF and programs with CMake"
  @moduledoc """
  Builds the NIF, the launcher and the reference worker with CMake and installs them into the
  application's `priv` directory.

  It runs as the last compiler of `mix compile`; nothing happens when everything is up to date.
  Each file is installed by renaming a complete copy, so that a virtual machine that has the old
  one mapped keeps it.

  Environment:

    * `WEIR_PRESET` - the CMake preset, `release` by default; see `CMakePresets.json`
    * `WEIR_BUILD_DIR` - the directory to build in, `build/PRESET` of the repository by default
  """

  use Mix.Task.Compiler

  alias Mix.Task.Compiler.Diagnostic

  @targets ~w(weir_nif weir-launch weir-loopback weir-port-echo)
  @presets ~w(release dev chaos asan-ubsan tsan coverage)

  @programs ~w(weir-launch weir-loopback weir-port-echo)

  # A build that is over sooner had nothing to do, and says nothing.
  @silent_ms 2_000

  @impl true
  def run(argv) do
    {options, _, _} = OptionParser.parse(argv, switches: [force: :boolean])

    with :ok <- check_tools(),
         {:ok, preset} <- preset(),
         directory = build_directory(preset),
         :ok <- configure(preset, directory),
         :ok <- build(directory),
         {:ok, installed} <- install(directory, options[:force] == true) do
      forget_empty_module()
      if installed == [], do: {:noop, []}, else: {:ok, []}
    else
      {:error, text} ->
        Mix.shell().error(text)
        {:error, [diagnostic(text)]}
    end
  end

  @impl true
  def manifests, do: []

  @impl true
  def clean do
    patterns = ["weir_nif*" | @programs]
    for pattern <- patterns, file <- Path.wildcard(Path.join(priv(), pattern)), do: File.rm(file)
    :ok
  end

  defp root, do: Path.expand("..", File.cwd!())
  defp priv, do: Path.join(Mix.Project.app_path(), "priv")

  defp check_tools do
    header = Path.join([:code.root_dir(), "usr", "include", "erl_nif.h"])

    missing =
      for(
        {tool, package} <- [{"cmake", "cmake"}, {"ninja", "ninja-build"}, {"gcc", "gcc"}],
        System.find_executable(tool) == nil,
        do: package
      ) ++ if(File.exists?(header), do: [], else: ["erlang-dev"])

    case missing do
      [] ->
        :ok

      packages ->
        {:error,
         "Weir's native part cannot be built: #{Enum.join(packages, ", ")} missing. Run " <>
           "#{Path.join(root(), "scripts/setup")}, or: apt-get install #{Enum.join(packages, " ")}"}
    end
  end

  defp preset do
    preset = System.get_env("WEIR_PRESET", "release")

    if preset in @presets do
      {:ok, preset}
    else
      {:error, "WEIR_PRESET is #{inspect(preset)}; there are: #{Enum.join(@presets, ", ")}"}
    end
  end

  defp build_directory(preset) do
    case System.get_env("WEIR_BUILD_DIR") do
      nil -> Path.join([root(), "build", preset])
      directory -> Path.expand(directory)
    end
  end

  # CMake configures again by itself when one of its files changed; only a fresh or moved tree, or
  # new presets, need it here.
  defp configure(preset, directory) do
    ninja = Path.join(directory, "build.ninja")
    presets = Path.join(root(), "CMakePresets.json")

    cond do
      moved?(directory) -> run_cmake(["--preset", preset, "-B", directory, "--fresh"], directory)
      not newer?(ninja, presets) -> run_cmake(["--preset", preset, "-B", directory], directory)
      true -> :ok
    end
  end

  defp moved?(directory) do
    case File.read(Path.join(directory, "CMakeCache.txt")) do
      {:ok, cache} -> not String.contains?(cache, "CMAKE_HOME_DIRECTORY:INTERNAL=#{root()}\n")
      {:error, _} -> false
    end
  end

  defp newer?(file, than) do
    case {File.stat(file), File.stat(than)} do
      {{:ok, file}, {:ok, than}} -> file.mtime >= than.mtime
      _ -> false
    end
  end

  defp build(directory) do
    case dry_run(directory) do
      :up_to_date ->
        :ok

      :perhaps ->
        build = Task.async(fn -> run_build(directory) end)

        case Task.yield(build, @silent_ms) do
          {:ok, result} ->
            result

          nil ->
            announce(directory)
            Task.await(build, :infinity)
        end

      :work ->
        announce(directory)
        run_build(directory)
    end
  end

  defp run_build(directory),
    do: run_cmake(["--build", directory, "--target" | @targets], directory)

  defp announce(directory),
    do: Mix.shell().info("Building Weir's native part in #{Path.relative_to(directory, root())}")

  # Asks ninja whether there is work, so that an up to date tree prints nothing and waits for no
  # lock.
  defp dry_run(directory) do
    case System.cmd("ninja", ["-n", "-C", directory | @targets], stderr_to_stdout: true) do
      {output, 0} -> work(output)
      {_, _} -> :work
    end
  end

  # Folders are searched for new sources at each build, and a dry run takes it that some are found:
  # then only the build itself can tell.
  defp work(output) do
    steps = Regex.scan(~r/^\[\d+\/\d+\] (?!Re-checking globbed|Re-running CMake).*/m, output)

    cond do
      output =~ "no work to do" -> :up_to_date
      steps == [] -> :perhaps
      true -> :work
    end
  end

  # The lock is the one that scripts/lib.sh takes: two builds in one directory spoil each other.
  defp run_cmake(arguments, directory) do
    File.mkdir_p!(Path.dirname(directory))

    case System.cmd("flock", [directory <> ".lock", "cmake" | arguments],
           cd: root(),
           stderr_to_stdout: true
         ) do
      {_, 0} ->
        :ok

      {output, status} ->
        {:error,
         without_progress(output) <>
           "\nWeir's native part was not built: `cmake #{Enum.join(arguments, " ")}` in " <>
           "#{root()} ended with status #{status} (see above). If a package is missing, run " <>
           "scripts/setup there."}
    end
  end

  defp without_progress(output), do: Regex.replace(~r/^\[\d+\/\d+\] .*\n/m, output, "")

  defp install(directory, force?) do
    File.mkdir_p!(priv())

    Enum.reduce_while(["weir_nif" | @programs], {:ok, []}, fn name, {:ok, installed} ->
      case install_one(name, directory, force?) do
        :same -> {:cont, {:ok, installed}}
        :ok -> {:cont, {:ok, [name | installed]}}
        {:error, text} -> {:halt, {:error, text}}
      end
    end)
  end

  # The NIF's file carries the digest of its contents in its name; see nif/install_nif.cmake.
  defp install_one("weir_nif", directory, force?) do
    source = Path.join(directory, "lib/weir_nif.so")
    script = Path.join(root(), "nif/install_nif.cmake")

    if not force? and same?(source, current_nif()) do
      :same
    else
      run_cmake(["-DFROM=#{source}", "-DTO=#{priv()}", "-P", script], directory)
    end
  end

  defp install_one(program, directory, force?) do
    source = Path.join([directory, "bin", program])
    target = Path.join(priv(), program)

    if not force? and same?(source, target) do
      :same
    else
      partial = "#{target}.#{System.pid()}"

      with {:ok, _} <- File.copy(source, partial),
           :ok <- File.chmod(partial, 0o755),
           :ok <- File.rename(partial, target) do
        :ok
      else
        {:error, reason} ->
          File.rm(partial)
          {:error, "cannot install #{source} as #{target}: #{:file.format_error(reason)}"}
      end
    end
  end

  # Something may have loaded the module before there was a library, while the project was compiled
  # for the first time. The next use loads it anew, with the library.
  defp forget_empty_module do
    module = Weir.Native

    if :code.is_loaded(module) do
      try do
        module.version()
      rescue
        _ ->
          :code.purge(module)
          :code.delete(module)
      end
    end
  end

  defp current_nif do
    case File.read(Path.join(priv(), "weir_nif.current")) do
      {:ok, name} -> Path.join(priv(), String.trim(name) <> ".so")
      {:error, _} -> Path.join(priv(), "weir_nif.so")
    end
  end

  # By content: two builds within a second may differ and have one size.
  defp same?(source, target) do
    case {File.read(source), File.read(target)} do
      {{:ok, a}, {:ok, b}} -> a == b
      _ -> false
    end
  end

  defp diagnostic(text) do
    %Diagnostic{
      compiler_name: "weir_nif",
      file: Path.join(File.cwd!(), "CMakeLists.txt"),
      message: text,
      position: 0,
      severity: :error
    }
  end
end
