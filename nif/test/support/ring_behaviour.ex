defmodule Weir.RingBehaviour do
  @moduledoc """
  The tests that every implementation of `Weir.Ring` must pass.

      use Weir.RingBehaviour, implementation: Weir.InMemoryRing

  The using module defines `new_ring(capacity)`, which returns the producer's and the consumer's end
  (the same twice where there is no difference), and `checked(end, index, bytes)`.
  """

  alias Weir.{Envelope, Property, Ring}

  @minor elem(Weir.Layout.Generated.version(), 1)
  @terms %{generation: 7, version: @minor, capabilities: 0}

  defmacro __using__(options) do
    implementation = options |> Keyword.fetch!(:implementation) |> Macro.expand(__CALLER__)

    quote location: :keep do
      alias Weir.{Envelope, Ring, RingBehaviour}

      describe "#{inspect(unquote(implementation))} as a ring" do
        test "is empty when new and has room for its capacity" do
          {producer, consumer} = new_ring(4)
          assert Ring.capacity(producer) == 4
          assert Ring.room(producer) == 4
          assert Ring.drain(consumer, 1) == :empty
          assert Ring.drain(consumer, 0) == :empty
          assert Ring.publish(producer, []) == {:ok, 0}
        end

        test "says full, and takes again after slots came back" do
          {producer, consumer} = new_ring(4)
          assert Ring.publish(producer, RingBehaviour.envelopes(0..2)) == {:ok, 3}
          assert Ring.publish(producer, RingBehaviour.envelopes(3..5)) == {:ok, 1}
          assert Ring.publish(producer, RingBehaviour.envelopes(4..5)) == :full
          assert Ring.room(producer) == 0
          assert RingBehaviour.drain_numbers(consumer, 2) == [0, 1]
          assert Ring.room(producer) == 2
          assert Ring.publish(producer, RingBehaviour.envelopes(4..6)) == {:ok, 2}
          assert RingBehaviour.drain_numbers(consumer, 9) == [2, 3, 4, 5]
          assert Ring.drain(consumer, 9) == :empty
        end

        test "stamps every envelope with its position, over many laps" do
          {producer, consumer} = new_ring(2)

          for index <- 0..40 do
            assert Ring.publish(producer, RingBehaviour.envelopes(index..index)) == {:ok, 1}
            assert {:ok, [{^index, bytes}]} = Ring.drain(consumer, 2)
            assert {:ok, %Envelope{job_id: ^index}} = RingBehaviour.check(index, bytes)
            assert {:error, :sequence} = RingBehaviour.check(index + 1, bytes)
          end
        end

        test "hands over between two processes in order, nothing lost and nothing twice" do
          {producer, consumer} = new_ring(8)
          count = 2_000
          task = Task.async(fn -> RingBehaviour.drain_until(consumer, count, []) end)
          RingBehaviour.publish_all(producer, Enum.to_list(0..(count - 1)))
          assert Task.await(task, 60_000) == Enum.to_list(0..(count - 1))
        end

        test "behaves like a bounded queue under any sequence of calls (property)" do
          RingBehaviour.check_against_model(inspect(unquote(implementation)), &new_ring/1)
        end
      end
    end
  end

  @doc "Requests that carry their number as job id."
  @spec envelopes(Enumerable.t()) :: [Envelope.t()]
  def envelopes(numbers),
    do:
      for(
        number <- numbers,
        do: %Envelope{version: @minor, opcode: 1, generation: 7, job_id: number}
      )

  @spec check(non_neg_integer(), binary()) :: {:ok, Envelope.t()} | {:error, atom()}
  def check(index, bytes), do: Envelope.check_request(bytes, index, @terms)

  @doc "The numbers of what a drain gives, each checked at its position."
  @spec drain_numbers(Ring.t(), non_neg_integer()) :: [non_neg_integer()]
  def drain_numbers(ring, max) do
    case Ring.drain(ring, max) do
      :empty ->
        []

      {:ok, taken} ->
        for {index, bytes} <- taken do
          {:ok, envelope} = check(index, bytes)
          envelope.job_id
        end
    end
  end

  @spec publish_all(Ring.t(), [non_neg_integer()]) :: :ok
  def publish_all(_ring, []), do: :ok

  def publish_all(ring, numbers) do
    case Ring.publish(ring, numbers |> Enum.take(5) |> envelopes()) do
      {:ok, accepted} ->
        publish_all(ring, Enum.drop(numbers, accepted))

      :full ->
        :erlang.yield()
        publish_all(ring, numbers)
    end
  end

  @spec drain_until(Ring.t(), non_neg_integer(), [non_neg_integer()]) :: [non_neg_integer()]
  def drain_until(_ring, 0, seen), do: Enum.reverse(seen)

  def drain_until(ring, left, seen) do
    numbers = drain_numbers(ring, min(left, 3))
    if numbers == [], do: :erlang.yield()
    drain_until(ring, left - length(numbers), Enum.reverse(numbers, seen))
  end

  @doc "Any calls in any order answer as a bounded queue would."
  @spec check_against_model(String.t(), (pos_integer() -> {Ring.t(), Ring.t()})) :: :ok
  def check_against_model(name, new_ring) do
    count = :proper_types.integer(0, 12)

    call =
      :proper_types.oneof([
        {:publish, count},
        {:drain, count},
        :proper_types.exactly(:room)
      ])

    generator = {:proper_types.oneof([2, 4, 8]), :proper_types.list(call)}

    Property.check(
      "#{name} behaves like a bounded queue",
      200,
      Property.forall(generator, fn {capacity, calls} ->
        {producer, consumer} = new_ring.(capacity)
        follow(calls, producer, consumer, %{capacity: capacity, queue: [], next: 0})
      end)
    )
  end

  defp follow([], _producer, consumer, model),
    do: drain_numbers(consumer, model.capacity) == model.queue

  defp follow([call | calls], producer, consumer, model) do
    case step(call, producer, consumer, model) do
      {true, model} -> follow(calls, producer, consumer, model)
      {false, _model} -> false
    end
  end

  defp step(:room, producer, _consumer, model),
    do: {Ring.room(producer) == model.capacity - length(model.queue), model}

  defp step({:publish, count}, producer, _consumer, model) do
    accepted = min(count, model.capacity - length(model.queue))
    offered = Enum.take(Stream.iterate(model.next, &(&1 + 1)), count)
    wanted = if accepted == 0 and count > 0, do: :full, else: {:ok, accepted}
    queue = model.queue ++ Enum.take(offered, accepted)
    model = %{model | queue: queue, next: model.next + accepted}
    {Ring.publish(producer, envelopes(offered)) == wanted, model}
  end

  defp step({:drain, count}, _producer, consumer, model) do
    {expected, queue} = Enum.split(model.queue, count)
    {drain_numbers(consumer, count) == expected, %{model | queue: queue}}
  end
end
