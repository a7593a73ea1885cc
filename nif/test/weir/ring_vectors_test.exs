defmodule Weir.RingVectorsTest do
  use ExUnit.Case, async: true

  import Weir.TestVectors, only: [number: 2]
  alias Weir.{Envelope, InMemoryRing, TestVectors}

  @terms %{generation: 7, version: 0, capabilities: 0}

  defp envelopes(from, count) when count > 0,
    do:
      for(
        number <- from..(from + count - 1),
        do: %Envelope{opcode: 1, generation: 7, job_id: number}
      )

  defp envelopes(_from, 0), do: []

  defp numbers(:empty), do: "-"

  defp numbers({:ok, taken}) do
    Enum.map_join(taken, ",", fn {index, bytes} ->
      assert {:ok, envelope} = Envelope.check_request(bytes, index, @terms)
      envelope.job_id
    end)
  end

  test "the in-memory ring answers as the shared file says" do
    {_, rings} =
      Enum.reduce(TestVectors.read!("ring.txt"), {nil, 0}, fn
        {"ring", fields, _line}, {_, rings} ->
          ring =
            InMemoryRing.new(
              capacity: number(fields, "capacity"),
              first_index: number(fields, "first_index")
            )

          {{ring, 0}, rings + 1}

        {"publish", fields, line}, {{ring, next}, rings} ->
          accepted =
            case InMemoryRing.publish(ring, envelopes(next, number(fields, "count"))) do
              {:ok, accepted} -> accepted
              :full -> 0
            end

          assert {line, accepted} == {line, number(fields, "accepted")}
          {{ring, next + accepted}, rings}

        {"drain", fields, line}, {{ring, _} = state, rings} ->
          assert {line, numbers(InMemoryRing.drain(ring, number(fields, "max")))} ==
                   {line, fields["numbers"]}

          {state, rings}

        {"take", fields, line}, {{ring, _} = state, rings} ->
          assert {line, numbers(InMemoryRing.take(ring, number(fields, "max")))} ==
                   {line, fields["numbers"]}

          {state, rings}

        {"consumed", _fields, _line}, {{ring, _} = state, rings} ->
          assert InMemoryRing.consumed(ring) == :ok
          {state, rings}

        {"room", fields, line}, {{ring, _} = state, rings} ->
          assert {line, InMemoryRing.room(ring)} == {line, number(fields, "free")}
          {state, rings}
      end)

    assert rings >= 10
  end
end
