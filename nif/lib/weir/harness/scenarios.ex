defmodule Weir.Harness.Scenarios do
  @moduledoc """
  Prepared requests for the routines that compute something, and what their replies must be.

  `simulate` has an oracle of its own here, as plain as can be: a set of live cells. Of an
  `analytics` reply count, extremes and quantiles are computed again, of `worldgen` the sizes and
  the extremes of the heights that came. Beyond that, and for `pathfind`, the first reply is kept
  and every later one, from whichever worker, must have the same bits.
  """

  import Bitwise

  @per_opcode 16
  @simulate_flag_grid 1

  @type t :: %{
          opcode: atom(),
          request: binary(),
          oracle: nil | (binary() -> String.t() | nil)
        }

  @doc "How many there are of each opcode."
  @spec per_opcode() :: pos_integer()
  def per_opcode, do: @per_opcode

  @doc "The scenarios of an opcode; they follow from the seed."
  @spec make(atom(), non_neg_integer()) :: [t()]
  def make(opcode, seed) do
    for index <- 0..(@per_opcode - 1) do
      draw = fn key, below -> rem(:erlang.phash2({seed, opcode, index, key}, 1 <<< 32), below) end
      make_one(opcode, draw)
    end
  end

  defp make_one(:simulate, draw) do
    {width, height, cells} = grid(draw, 96, 64, 3)
    steps = 1 + draw.(:steps, 8)
    topology = draw.(:topology, 2)

    header =
      <<width::little-32, height::little-32, steps::little-32, topology::little-32,
        @simulate_flag_grid::little-32, 0::32>>

    rows = rows(cells, height)
    expected = generations(live(rows, width), width, height, topology, steps)

    %{
      opcode: :simulate,
      request: header <> cells,
      oracle: fn reply -> check_simulate(reply, header, expected, width, height) end
    }
  end

  defp make_one(:pathfind, draw) do
    {width, height, cells} = grid(draw, 128, 64, 6)

    header =
      <<width::little-32, height::little-32, draw.(:sx, width)::little-32,
        draw.(:sy, height)::little-32, draw.(:gx, width)::little-32,
        draw.(:gy, height)::little-32, draw.(:points, 256)::little-32, 0::32>>

    %{opcode: :pathfind, request: header <> cells, oracle: nil}
  end

  defp make_one(:worldgen, draw) do
    {width, height} = {1 + draw.(:width, 48), 1 + draw.(:height, 32)}
    unit = fn key -> draw.(key, 1 <<< 32) / (1 <<< 32) end

    request =
      <<width::little-32, height::little-32, 1 + draw.(:octaves, 4)::little-32, 0::32,
        unit.(:x) * 1000 - 500::little-float, unit.(:y) * 1000 - 500::little-float,
        unit.(:z) * 10::little-float, unit.(:spacing) * 0.1::little-float,
        1.5 + unit.(:lacunarity)::little-float, 0.3 + unit.(:gain) * 0.4::little-float>>

    %{
      opcode: :worldgen,
      request: request,
      oracle: fn reply -> check_worldgen(reply, width, height) end
    }
  end

  defp make_one(:analytics, draw) do
    count = 1 + draw.(:count, 1_500)
    quantiles = Enum.take([0.5, 0.25, 0.75, 0.99], draw.(:quantiles, 5))
    values = for i <- 1..count, do: draw.({:value, i}, 1 <<< 32) / 65_536 - 16_384.0
    padded = quantiles ++ List.duplicate(0.0, 8 - length(quantiles))

    request =
      <<count::little-64, length(quantiles)::little-32, 0::32,
        for(q <- padded, into: <<>>, do: <<q::little-float>>)::binary,
        for(v <- values, into: <<>>, do: <<v::little-float>>)::binary>>

    %{
      opcode: :analytics,
      request: request,
      oracle: fn reply -> check_analytics(reply, Enum.sort(values), quantiles) end
    }
  end

  # Rows of 64-bit words, one bit a cell, the lowest first; `eighths` of 8 cells are set.
  defp grid(draw, width_max, height_max, eighths) do
    {width, height} = {1 + draw.(:width, width_max), 1 + draw.(:height, height_max)}
    bits = div(width + 63, 64) * 64

    cells =
      for y <- 0..(height - 1), into: <<>> do
        row =
          for x <- 0..(width - 1), draw.({x, y}, 8) < eighths, reduce: 0 do
            row -> row ||| 1 <<< x
          end

        <<row::little-size(bits)>>
      end

    {width, height, cells}
  end

  defp rows(cells, height) do
    bits = div(bit_size(cells), height)
    for <<row::little-size(bits) <- cells>>, do: row
  end

  # --- Life, as the rules say it ---

  defp live(rows, width) do
    for {row, y} <- Enum.with_index(rows),
        x <- 0..(width - 1),
        (row >>> x &&& 1) == 1,
        into: MapSet.new(),
        do: {x, y}
  end

  defp generations(live, _width, _height, _topology, 0), do: live

  defp generations(live, width, height, topology, steps) do
    neighbours =
      for {x, y} <- live,
          dx <- -1..1,
          dy <- -1..1,
          {dx, dy} != {0, 0},
          cell = place(x + dx, y + dy, width, height, topology),
          cell != nil,
          reduce: %{},
          do: (counts -> Map.update(counts, cell, 1, &(&1 + 1)))

    next =
      for {cell, count} <- neighbours,
          count == 3 or (count == 2 and MapSet.member?(live, cell)),
          into: MapSet.new(),
          do: cell

    generations(next, width, height, topology, steps - 1)
  end

  defp place(x, y, width, height, 1), do: {Integer.mod(x, width), Integer.mod(y, height)}
  defp place(x, y, width, height, 0) when x in 0..(width - 1) and y in 0..(height - 1), do: {x, y}
  defp place(_, _, _, _, 0), do: nil

  defp check_simulate(reply, header, expected, width, height) do
    with <<head::binary-size(24), population::little-64, cells::binary>> <- reply,
         true <- head == header and population == MapSet.size(expected),
         true <- byte_size(cells) == div(width + 63, 64) * 8 * height,
         true <- live(rows(cells, height), width) == expected do
      nil
    else
      _ -> "the simulated generation is not the one that follows"
    end
  end

  # --- The others, as far as that is cheap ---

  defp check_worldgen(reply, width, height) do
    with <<^width::little-32, ^height::little-32, lowest::little-float, highest::little-float,
           heights::binary>> <- reply,
         true <- byte_size(heights) == width * height * 8,
         heights = for(<<value::little-float <- heights>>, do: value),
         true <- {lowest, highest} == Enum.min_max(heights) do
      nil
    else
      _ -> "the height map's sizes or extremes are wrong"
    end
  end

  defp check_analytics(reply, sorted, quantiles) do
    count = length(sorted)
    given = length(quantiles)
    {first, last} = {hd(sorted), List.last(sorted)}
    sorted = List.to_tuple(sorted)

    with <<^count::little-64, ^given::little-32, _flags::little-32, mean::little-float,
           _deviation::little-float, _lag1::little-float, ^first::little-float,
           ^last::little-float, found::binary-size(64)>> <- reply,
         true <- mean >= first and mean <= last,
         found = for(<<value::little-float <- found>>, do: value),
         true <- Enum.take(found, given) == Enum.map(quantiles, &quantile(sorted, count, &1)) do
      nil
    else
      _ -> "the count, extremes or quantiles are wrong"
    end
  end

  # Type 7 of Hyndman and Fan (1996), in this order of operations; see loopback/routines/analytics.h.
  defp quantile(sorted, count, p) do
    h = (count - 1) * p
    j = trunc(h)

    if j == count - 1,
      do: elem(sorted, j),
      else: elem(sorted, j) + (h - j) * (elem(sorted, j + 1) - elem(sorted, j))
  end
end
