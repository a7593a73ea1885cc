defmodule Weir.BeamRoutines.Simulate do
  @moduledoc """
  Conway's Life, n generations, as `loopback/routines/simulate.h` describes it.

  A row is one integer with a bit per cell, so that a row costs a few operations on big integers. On
  a torus of width or height 1 or 2 a cell counts a neighbour once for each direction that leads to
  it.
  """

  import Bitwise

  @side_max 65_535
  @work_max 1 <<< 30
  @row_overhead 8
  @with_grid 1

  @doc "Runs a request; see the layout's `simulate_request` and `simulate_reply`."
  @spec run(binary()) :: {:ok, iodata()} | {:error, String.t()}
  def run(
        <<width::little-32, height::little-32, steps::little-32, topology::little-32,
          flags::little-32, reserved::little-32, cells::binary>>
      ) do
    words = div(width + 63, 64)

    cond do
      width not in 1..@side_max or height not in 1..@side_max ->
        {:error, "the simulate grid must have 1 to 65535 columns and rows"}

      topology > 1 ->
        {:error, "the simulate topology must be 0 (bounded) or 1 (torus)"}

      flags > @with_grid or reserved != 0 ->
        {:error, "the simulate request sets unknown flags or its reserved field"}

      byte_size(cells) != words * 8 * height ->
        {:error, "the simulate request's length does not match its width and height"}

      steps > div(@work_max, (words + @row_overhead) * height) ->
        {:error, "the simulate request asks for too many steps on a grid of this size"}

      true ->
        live(cells, %{width: width, words: words, torus?: topology == 1}, steps, fn rows ->
          population = rows |> Enum.map(&population/1) |> Enum.sum()

          [
            <<width::little-32, height::little-32, steps::little-32, topology::little-32,
              flags::little-32, 0::32, population::little-64>>
            | if(flags == @with_grid, do: Enum.map(rows, &store(&1, words)), else: [])
          ]
        end)
    end
  end

  def run(_short), do: {:error, "the simulate request is shorter than its header"}

  defp live(cells, grid, steps, reply) do
    bits = grid.words * 64
    rows = for <<row::little-size(bits) <- cells>>, do: row

    if Enum.any?(rows, &(&1 >>> grid.width != 0)),
      do: {:error, "the simulate grid sets bits beyond its width"},
      else: {:ok, rows |> generations(grid, steps) |> reply.()}
  end

  defp store(row, words), do: <<row::little-size(words)-unit(64)>>

  defp generations(rows, _grid, 0), do: rows

  defp generations(rows, grid, steps),
    do: rows |> generation(grid) |> generations(grid, steps - 1)

  defp generation(rows, grid) do
    sums = Enum.map(rows, &across(&1, grid))
    outside = {0, 0}

    {above_first, below_last} =
      if grid.torus?, do: {List.last(sums), hd(sums)}, else: {outside, outside}

    down(rows, [above_first | sums], below_last)
  end

  defp down([row | rows], [above, here | below], below_last) do
    under = List.first(below, below_last)
    [survive(row, above, here, under) | down(rows, [here | below], below_last)]
  end

  defp down([], [_last], _below_last), do: []

  # How many of left, centre and right live, as two bit planes.
  defp across(row, %{width: width, torus?: torus?}) do
    mask = (1 <<< width) - 1

    {around_left, around_right} =
      if torus?, do: {row >>> (width - 1), (row &&& 1) <<< (width - 1)}, else: {0, 0}

    left = (row <<< 1 &&& mask) ||| around_left
    right = row >>> 1 ||| around_right
    pair = bxor(left, right)
    {bxor(pair, row), (left &&& right) ||| (pair &&& row)}
  end

  # Nine cells, the cell itself included: it lives with 3, or with 4 if it lives now. `low` is the
  # total's lowest bit; the four planes that remain count two each.
  defp survive(row, {a1, a2}, {b1, b2}, {c1, c2}) do
    low = a1 |> bxor(b1) |> bxor(c1)
    carry = (a1 &&& b1) ||| (bxor(a1, b1) &&& c1)
    {first, both_first} = {bxor(a2, b2), a2 &&& b2}
    {second, both_second} = {bxor(c2, carry), c2 &&& carry}
    odd = bxor(first, second)
    exactly_one = odd &&& bnot(both_first ||| both_second)
    exactly_two = (first &&& second) ||| (bxor(both_first, both_second) &&& bnot(odd))
    (low &&& exactly_one) ||| (bnot(low) &&& exactly_two &&& row)
  end

  defp population(row), do: population(row, 0)
  defp population(0, count), do: count

  defp population(row, count),
    do: population(row >>> 64, count + ones(row &&& 0xFFFFFFFFFFFFFFFF))

  # Bits side by side are added up in ever wider groups.
  defp ones(word) do
    word = word - (word >>> 1 &&& 0x5555555555555555)
    word = (word &&& 0x3333333333333333) + (word >>> 2 &&& 0x3333333333333333)
    word = word + (word >>> 4) &&& 0x0F0F0F0F0F0F0F0F
    rem(word, 255)
  end
end
