defmodule Weir.BeamRoutinesTest do
  use ExUnit.Case, async: true

  alias Weir.{BeamRoutines, Property}
  alias Weir.BeamRoutines.Simulate

  defp request(width, height, steps, torus?, rows, flags \\ 1) do
    topology = if torus?, do: 1, else: 0

    head =
      for number <- [width, height, steps, topology, flags, 0],
          into: <<>>,
          do: <<number::little-32>>

    bits = div(width + 63, 64) * 64
    head <> for(row <- rows, into: <<>>, do: <<row::little-size(bits)>>)
  end

  defp simulate(width, height, steps, torus?, rows) do
    {:ok, reply} = Simulate.run(request(width, height, steps, torus?, rows))
    <<_same::binary-size(24), population::little-64, cells::binary>> = IO.iodata_to_binary(reply)
    bits = div(width + 63, 64) * 64
    {population, for(<<row::little-size(bits) <- cells>>, do: row)}
  end

  # Cell by cell, sharing nothing with the routine.
  defp slowly(_width, _height, 0, _torus?, live), do: live

  defp slowly(width, height, steps, torus?, live) do
    next =
      for x <- 0..(width - 1), y <- 0..(height - 1), into: MapSet.new() do
        neighbours =
          Enum.count(
            for(dx <- -1..1, dy <- -1..1, {dx, dy} != {0, 0}, do: {x + dx, y + dy}),
            fn {x, y} ->
              {x, y} =
                if torus?, do: {Integer.mod(x, width), Integer.mod(y, height)}, else: {x, y}

              MapSet.member?(live, {x, y})
            end
          )

        if neighbours == 3 or (neighbours == 2 and MapSet.member?(live, {x, y})), do: {x, y}
      end

    slowly(width, height, steps - 1, torus?, MapSet.delete(next, nil))
  end

  defp rows(live, width, height) do
    for y <- 0..(height - 1) do
      for x <- 0..(width - 1), MapSet.member?(live, {x, y}), reduce: 0 do
        row -> Bitwise.bor(row, Bitwise.bsl(1, x))
      end
    end
  end

  test "echo gives the request back and crc sums it" do
    assert BeamRoutines.echo("weir") == {:ok, "weir"}
    assert BeamRoutines.crc("123456789") == {:ok, <<9::little-64, 0xE3069283::little-32, 0::32>>}
  end

  test "a glider moves one cell down and right in four generations" do
    # .#. ..# ###
    assert simulate(8, 8, 4, false, [0b010, 0b100, 0b111, 0, 0, 0, 0, 0]) ==
             {5, [0, 0b0100, 0b1000, 0b1110, 0, 0, 0, 0]}
  end

  test "a blinker on the edge of a torus blinks around it" do
    assert simulate(5, 5, 1, true, [0b10011, 0, 0, 0, 0]) == {3, [1, 1, 0, 0, 1]}
  end

  test "agrees with a cell-by-cell simulation (property)" do
    side = :proper_types.integer(1, 9)

    generator =
      {side, side, :proper_types.integer(0, 4), :proper_types.boolean(),
       :proper_types.integer(0, 0xFFFFFFFF)}

    Property.check(
      "simulate agrees with a cell-by-cell simulation",
      150,
      Property.forall(generator, fn {width, height, steps, torus?, seed} ->
        state = :rand.seed_s(:exsss, seed)

        {live, _} =
          Enum.reduce(
            for(x <- 0..(width - 1), y <- 0..(height - 1), do: {x, y}),
            {MapSet.new(), state},
            fn cell, {live, state} ->
              {bit, state} = :rand.uniform_s(2, state)
              {if(bit == 1, do: MapSet.put(live, cell), else: live), state}
            end
          )

        after_it = slowly(width, height, steps, torus?, live)

        simulate(width, height, steps, torus?, rows(live, width, height)) ==
          {MapSet.size(after_it), rows(after_it, width, height)}
      end)
    )
  end

  test "simulate says what is wrong with a request" do
    assert {:error, "the simulate request is shorter" <> _} = Simulate.run(<<0::160>>)

    assert {:error, "the simulate grid must have" <> _} =
             Simulate.run(request(0, 1, 1, false, []))

    assert {:error, "the simulate request's length" <> _} =
             Simulate.run(request(3, 2, 1, false, [0]))

    assert {:error, "the simulate request asks for too many" <> _} =
             Simulate.run(request(3, 1, 0xFFFFFFFF, false, [0]))

    assert {:error, "the simulate grid sets bits beyond" <> _} =
             Simulate.run(request(3, 1, 1, false, [8]))

    assert {:error, "the simulate request sets unknown" <> _} =
             Simulate.run(request(3, 1, 1, false, [0], 2))
  end

  test "simulate leaves the grid out when it is not asked for" do
    {:ok, reply} = Simulate.run(request(3, 3, 0, false, [7, 0, 0], 0))
    assert <<_::binary-size(24), 3::little-64>> = IO.iodata_to_binary(reply)
  end
end
