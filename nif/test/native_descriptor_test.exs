defmodule Weir.NativeDescriptorTest do
  @moduledoc "Descriptors: closed once, passed on, woken with."
  use ExUnit.Case

  alias Weir.Native
  import Weir.TestSupport, only: [eventually: 2]

  defp open_descriptors, do: length(File.ls!("/proc/self/fd"))

  defp settled_descriptors do
    :erlang.garbage_collect()
    Process.sleep(20)
    open_descriptors()
  end

  test "is closed once" do
    {:ok, eventfd} = Native.eventfd_create()
    assert Native.descriptor_is_open(eventfd)
    assert Native.descriptor_close(eventfd) == :ok
    assert {:error, :closed, _} = Native.descriptor_close(eventfd)
    refute Native.descriptor_is_open(eventfd)
    assert {:error, :closed, _} = Native.eventfd_ring(eventfd)
    assert {:error, :closed, _} = Native.descriptor_select(eventfd)
  end

  test "is closed when its owner dies, selected or not" do
    before = settled_descriptors()
    test = self()

    {owner, monitor} =
      spawn_monitor(fn ->
        {:ok, one} = Native.eventfd_create()
        {:ok, two} = Native.eventfd_create()
        :ok = Native.descriptor_select(two)
        send(test, {:made, [one, two]})
        Process.sleep(:infinity)
      end)

    assert_receive {:made, made}
    assert open_descriptors() >= before + 2
    Process.exit(owner, :kill)
    assert_receive {:DOWN, ^monitor, :process, _, :killed}

    for descriptor <- made,
        do: eventually(fn -> not Native.descriptor_is_open(descriptor) end, "it is closed")

    eventually(fn -> settled_descriptors() <= before end, "no descriptor is left")
  end

  test "is closed when nobody names it any more" do
    before = settled_descriptors()
    fill = fn -> for(_ <- 1..50, do: Native.eventfd_create()) |> length() end
    assert fill.() == 50
    eventually(fn -> settled_descriptors() <= before end, "no descriptor is left")
  end

  test "tells its owner that it was rung" do
    {:ok, eventfd} = Native.eventfd_create()
    assert {:error, :empty, _} = Native.eventfd_drain(eventfd)
    assert Native.descriptor_select(eventfd) == :ok
    refute_receive {:weir_ready, ^eventfd}, 20
    assert Native.eventfd_ring(eventfd) == :ok
    assert_receive {:weir_ready, ^eventfd}
    assert Native.eventfd_drain(eventfd) == :ok
    assert {:error, :empty, _} = Native.eventfd_drain(eventfd)
  end

  describe "passing" do
    setup do
      {:ok, sender, receiver} = Native.passing_pair()
      %{sender: sender, receiver: receiver}
    end

    test "gives the receiver descriptors of its own", %{sender: sender, receiver: receiver} do
      {:ok, eventfd} = Native.eventfd_create()
      assert {:error, :empty, _} = Native.passing_receive(receiver)
      assert Native.passing_send(sender, "two", [eventfd, eventfd]) == :ok
      Native.descriptor_select(receiver)
      assert_receive {:weir_ready, ^receiver}
      assert {:ok, "two", [one, two]} = Native.passing_receive(receiver)

      # The same eventfd behind three descriptors.
      assert Native.descriptor_close(one) == :ok
      Native.descriptor_select(two)
      Native.eventfd_ring(eventfd)
      assert_receive {:weir_ready, ^two}
    end

    test "carries messages in order and up to four descriptors", context do
      %{sender: sender, receiver: receiver} = context
      {:ok, eventfd} = Native.eventfd_create()

      for count <- 0..4,
          do: :ok = Native.passing_send(sender, <<count>>, List.duplicate(eventfd, count))

      for count <- 0..4 do
        assert {:ok, <<^count>>, descriptors} = Native.passing_receive(receiver)
        assert length(descriptors) == count
      end

      assert_raise ArgumentError, fn ->
        Native.passing_send(sender, "5", List.duplicate(eventfd, 5))
      end
    end

    test "is refused to the wrong end", %{sender: sender, receiver: receiver} do
      assert_raise ArgumentError, fn -> Native.passing_send(receiver, "x", []) end
      assert_raise ArgumentError, fn -> Native.passing_receive(sender) end
      {:ok, eventfd} = Native.eventfd_create()
      assert_raise ArgumentError, fn -> Native.passing_receive(eventfd) end
    end

    test "says when the socket is full, and loses nothing", context do
      %{sender: sender, receiver: receiver} = context
      message = :binary.copy("m", 1024)

      sent =
        Enum.reduce_while(1..10_000, 0, fn _, count ->
          case Native.passing_send(sender, message, []) do
            :ok -> {:cont, count + 1}
            {:error, :full, _} -> {:halt, count}
          end
        end)

      assert sent in 1..9_999
      for _ <- 1..sent, do: assert({:ok, ^message, []} = Native.passing_receive(receiver))
      assert {:error, :empty, _} = Native.passing_receive(receiver)
    end

    test "tells the death of the other end", %{sender: sender, receiver: receiver} do
      Native.descriptor_close(sender)
      assert {:error, :peer_dead, _} = Native.passing_receive(receiver)
      {:ok, sender, receiver} = Native.passing_pair()
      Native.descriptor_close(receiver)
      assert {:error, :peer_dead, _} = Native.passing_send(sender, "x", [])
      {:ok, eventfd} = Native.eventfd_create()
      Native.descriptor_close(eventfd)
      assert {:error, :closed, _} = Native.passing_send(sender, "x", [eventfd])
    end

    test "closes what arrives for nobody", %{sender: sender, receiver: receiver} do
      before = settled_descriptors()
      {:ok, eventfd} = Native.eventfd_create()
      for _ <- 1..10, do: :ok = Native.passing_send(sender, "x", [eventfd, eventfd])
      Native.descriptor_close(eventfd)
      Native.descriptor_close(receiver)
      eventually(fn -> settled_descriptors() <= before end, "the queue was emptied")
    end
  end
end
