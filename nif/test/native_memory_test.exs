defmodule Weir.NativeMemoryTest do
  @moduledoc "Shared memory by name, and futexes in it."
  use ExUnit.Case

  alias Weir.Native

  setup do
    %{name: "/weir-test-#{System.pid()}-#{System.unique_integer([:positive])}"}
  end

  defp file(name), do: "/dev/shm" <> name

  test "is one memory behind two mappings", %{name: name} do
    {:ok, one} = Native.shm_create(name, 8192)
    {:ok, two} = Native.shm_open(name, 8192, :read)
    assert Native.memory_write(one, 4090, "across a page") == :ok
    assert Native.memory_read(two, 4090, 13) == {:ok, "across a page"}
    assert Native.memory_read(two, 0, 4) == {:ok, <<0, 0, 0, 0>>}
    assert {:error, :refused, _} = Native.memory_write(two, 0, "x")
    assert Native.memory_info(two) == %{bytes: 8192, writable: false, truncated: false}
  end

  test "is this user's alone, and gone with its maker", %{name: name} do
    {:ok, memory} = Native.shm_create(name, 4096)
    assert Bitwise.band(File.stat!(file(name)).mode, 0o777) == 0o600
    assert {:error, :system, sentence} = Native.shm_create(name, 4096)
    assert sentence =~ "File exists"
    assert Native.memory_close(memory) == :ok
    refute File.exists?(file(name))
    assert {:error, :closed, _} = Native.memory_close(memory)
    assert {:error, :closed, _} = Native.memory_read(memory, 0, 1)
  end

  test "goes with the process that made it", %{name: name} do
    {pid, monitor} = spawn_monitor(fn -> {:ok, _} = Native.shm_create(name, 4096) end)
    assert_receive {:DOWN, ^monitor, :process, ^pid, :normal}
    Weir.TestSupport.eventually(fn -> not File.exists?(file(name)) end, "the name is gone")
  end

  test "stays without its name", %{name: name} do
    {:ok, one} = Native.shm_create(name, 4096)
    {:ok, two} = Native.shm_open(name, 4096, :write)
    assert Native.shm_unlink(one) == :ok
    refute File.exists?(file(name))
    assert Native.memory_write(two, 0, "still") == :ok
    assert Native.memory_read(one, 0, 5) == {:ok, "still"}
  end

  test "is opened with its own length only", %{name: name} do
    assert {:error, :system, _} = Native.shm_open(name, 4096, :read)
    {:ok, _memory} = Native.shm_create(name, 8192)
    assert {:error, :invalid, sentence} = Native.shm_open(name, 4096, :read)
    assert sentence == "#{name} is not 4096 bytes long; open it with its own length"
  end

  test "survives a truncation, and says so", %{name: name} do
    {:ok, memory} = Native.shm_create(name, 8192)
    :ok = Native.memory_write(memory, 4096, "here")
    {_, 0} = System.cmd("truncate", ["-s", "0", file(name)])
    assert {:error, :closed, sentence} = Native.memory_read(memory, 4096, 4)
    assert sentence =~ "truncated"
    assert Native.memory_info(memory).truncated
  end

  test "reads and writes nothing outside", %{name: name} do
    {:ok, memory} = Native.shm_create(name, 4096)
    assert Native.memory_read(memory, 4096, 0) == {:ok, ""}
    assert Native.memory_write(memory, 4095, "x") == :ok

    for {offset, bytes} <- [{4096, 1}, {4095, 2}, {0, 4097}, {8192, 0}] do
      assert_raise ArgumentError, fn -> Native.memory_read(memory, offset, bytes) end

      assert_raise ArgumentError, fn ->
        Native.memory_write(memory, offset, :binary.copy("x", bytes + 1))
      end
    end
  end

  describe "a futex" do
    setup %{name: name} do
      {:ok, memory} = Native.shm_create(name, 4096)
      %{memory: memory}
    end

    test "ends at its time, or at once when the word is another", %{memory: memory} do
      assert Native.futex_wait(memory, 0, 0, 100) == :timeout
      assert Native.futex_wait(memory, 0, 1, 1000) == :changed
      assert Native.futex_wait_long(memory, 0, 0, 1) == :timeout
      assert Native.futex_wake(memory, 0, 1) == {:ok, 0}
    end

    test "wakes a sleeper", %{memory: memory} do
      test = self()
      spawn_link(fn -> send(test, {:slept, sleep_until_woken(memory)}) end)

      Weir.TestSupport.eventually(
        fn -> Native.futex_wake(memory, 4, 1) == {:ok, 1} end,
        "somebody was woken"
      )

      assert_receive {:slept, :woken}, 5_000
    end

    defp sleep_until_woken(memory) do
      case Native.futex_wait_long(memory, 4, 0, 1000) do
        :timeout -> sleep_until_woken(memory)
        other -> other
      end
    end

    test "keeps its memory while somebody sleeps in it", %{memory: memory} do
      sleeper = Task.async(fn -> Native.futex_wait_long(memory, 0, 0, 200) end)
      Process.sleep(50)
      assert Native.memory_close(memory) == :ok
      assert Task.await(sleeper) == :timeout
      assert {:error, :closed, _} = Native.futex_wake(memory, 0, 1)
    end

    test "lies at a multiple of four inside", %{memory: memory} do
      for offset <- [1, 2, 3, 4093, 4096] do
        assert_raise ArgumentError, fn -> Native.futex_wait(memory, offset, 0, 0) end
        assert_raise ArgumentError, fn -> Native.futex_wake(memory, offset, 1) end
      end
    end
  end
end
