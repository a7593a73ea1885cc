defmodule Weir.NativeLibraryTest do
  @moduledoc "The NIF as a library: what it exports, how it is installed, loaded, upgraded and unloaded."
  use ExUnit.Case

  alias Weir.Native
  alias Weir.TestSupport.NativeHolders

  @exports Path.expand("../exports.txt", __DIR__)
  @installer Path.expand("../install_nif.cmake", __DIR__)

  defp library, do: to_string(Native.path()) <> ".so"

  describe "exported symbols" do
    test "are the entry of the emulator and libweir's, each with a version" do
      {output, 0} = System.cmd("nm", ["-D", "--defined-only", library()])

      symbols =
        for line <- String.split(output, "\n", trim: true),
            [_address, type, name] = String.split(line),
            type != "A",
            do: name

      assert symbols != []

      for symbol <- symbols do
        assert [name, "WEIR_0.1"] = String.split(symbol, "@@")
        assert name == "nif_init" or String.starts_with?(name, "weir_")
      end

      listed = @exports |> File.read!() |> String.split("\n", trim: true)
      found = symbols |> Enum.map(&hd(String.split(&1, "@@"))) |> Enum.sort()

      assert found -- listed == [],
             "the library exports what nif/exports.txt does not list; add it there if it is meant to stay"

      assert listed -- found == [], "the library lacks what nif/exports.txt lists"
    end
  end

  describe "a function" do
    test "says in its documentation what it does" do
      {:docs_v1, _, _, _, _, _, docs} = Code.fetch_docs(Native)

      documented =
        for {{:function, name, arity}, _, _, doc, _} <- docs, is_map(doc), do: {name, arity}

      assert Native.module_info(:nifs) -- documented == []
    end
  end

  describe "installing" do
    setup do
      directory = Path.join(System.tmp_dir!(), "weir-install-#{System.pid()}")
      File.rm_rf!(directory)
      on_exit(fn -> File.rm_rf!(directory) end)
      %{priv: directory, source: Path.join(directory, "built.so")}
    end

    defp install(source, priv) do
      {_, 0} = System.cmd("cmake", ["-DFROM=#{source}", "-DTO=#{priv}", "-P", @installer])
      priv |> Path.join("weir_nif.current") |> File.read!() |> String.trim()
    end

    test "gives each build a name of its own and keeps the one before", context do
      %{priv: priv, source: source} = context
      File.mkdir_p!(priv)

      names =
        for contents <- ["one", "two", "three"] do
          File.write!(source, contents)
          name = install(source, priv)
          assert File.read!(Path.join(priv, name <> ".so")) == contents
          name
        end

      assert length(Enum.uniq(names)) == 3
      [_, second, third] = names
      files = for name <- [second, third], do: name <> ".so"
      assert Enum.sort(File.ls!(priv)) == Enum.sort(["built.so", "weir_nif.current" | files])
    end

    test "changes nothing when the build is the same", %{priv: priv, source: source} do
      File.mkdir_p!(priv)
      File.write!(source, "same")
      name = install(source, priv)
      before = File.stat!(Path.join(priv, name <> ".so"))
      assert install(source, priv) == name
      assert File.stat!(Path.join(priv, name <> ".so")) == before
    end
  end

  describe "in an emulator of its own" do
    setup do
      # A node that talks through its standard input and output: neither epmd nor a network.
      {:ok, peer, _} = :peer.start_link(%{connection: :standard_io, wait_boot: 30_000})
      on_exit(fn -> catch_exit(:peer.stop(peer)) end)
      :ok = :peer.call(peer, :code, :add_paths, [:code.get_path()])
      copy = Path.join(System.tmp_dir!(), "weir-nif-#{System.pid()}-copy.so")
      File.cp!(library(), copy)
      on_exit(fn -> File.rm(copy) end)
      %{peer: peer, copy: copy}
    end

    defp native(peer, function, arguments \\ []),
      do: :peer.call(peer, Native, function, arguments)

    defp reload(peer, library) do
      true = :peer.call(peer, :os, :putenv, ['WEIR_NIF', to_charlist(library)])
      {:module, Native} = :peer.call(peer, :code, :load_file, [Native])
    end

    defp hold(peer, what) do
      pid = :peer.call(peer, :erlang, :spawn, [NativeHolders, what, []])
      await(fn -> :peer.call(peer, NativeHolders, :held, []) end)
      {pid, :peer.call(peer, NativeHolders, :held, [])}
    end

    defp await(function) do
      Weir.TestSupport.eventually(function, "the emulator has done it")
    end

    test "callbacks leave an exact trace of load, upgrade, unload, down and stop", context do
      %{peer: peer, copy: copy} = context
      assert native(peer, :trace) == [{:load, :library, 1}]

      {pid, held} = hold(peer, :descriptor)
      reload(peer, copy)
      assert native(peer, :trace) == [{:load, :library, 1}, {:upgrade, :library, 2}]
      assert native(peer, :resources).descriptor == 1

      # The old code is purged while its resource is alive; the new library has it.
      :peer.call(peer, :code, :purge, [Native])
      await(fn -> length(native(peer, :trace)) == 3 end)
      assert List.last(native(peer, :trace)) == {:unload, :library, 1}

      assert :peer.call(peer, Native, :descriptor_is_open, [held])
      :peer.call(peer, :erlang, :exit, [pid, :kill])
      await(fn -> length(native(peer, :trace)) == 5 end)

      assert Enum.drop(native(peer, :trace), 3) == [
               {:down, :descriptor, 2},
               {:stop, :descriptor, 2}
             ]

      refute :peer.call(peer, Native, :descriptor_is_open, [held])

      :ok = native(peer, :trace_clear)
      assert native(peer, :trace) == []
    end

    test "an arena works on across an upgrade", %{peer: peer, copy: copy} do
      {_pid, arena} = hold(peer, :arena)
      reload(peer, copy)
      :peer.call(peer, :code, :purge, [Native])
      envelope = native(peer, :envelope_encode, [%{opcode: 1, generation: 1, version: 1}, 0])
      assert {:ok, 1} = native(peer, :ring_publish, [arena, [envelope]])
      assert %{published: 1, generation: 1} = native(peer, :arena_info, [arena])
    end

    test "without a library the module stays and says what to do", %{peer: peer} do
      :peer.call(peer, :code, :delete, [Native])
      :peer.call(peer, :code, :purge, [Native])
      true = :peer.call(peer, :os, :putenv, ['WEIR_NIF', '/nowhere/weir_nif.so'])
      assert {:error, :on_load_failure} = :peer.call(peer, :code, :load_file, [Native])
    end
  end
end
