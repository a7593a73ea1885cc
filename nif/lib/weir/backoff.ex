defmodule Weir.Backoff do
  @moduledoc """
  When a worker that died is started again.

  The delay doubles from `first_ns` to `max_ns` with every death in a row; half of it is certain and
  half is chance, so that workers that died together do not start together. A worker that stayed up
  for `stable_ns` begins anew. After `deaths_max` deaths in a row the seat is quarantined.

  A hosted manager leaves this decision to Elixir; a C manager takes it in
  `core/manager/seat_start.c`. Both give the same delays for the same seed, which both suites check
  with `docs/vectors/backoff.txt`. The chance comes from splitmix64 (Steele, Lea, Flood, OOPSLA
  2014).
  """

  import Bitwise

  @word 0xFFFFFFFFFFFFFFFF
  @ms 1_000_000

  @defaults [first_ns: 100 * @ms, max_ns: 10_000 * @ms, stable_ns: 30_000 * @ms, deaths_max: 8]

  @enforce_keys [:first_ns, :max_ns, :stable_ns, :deaths_max, :random]
  defstruct [:first_ns, :max_ns, :stable_ns, :deaths_max, :random, delay_ns: 0, deaths_in_row: 0]

  @type t :: %__MODULE__{
          first_ns: pos_integer(),
          max_ns: pos_integer(),
          stable_ns: pos_integer(),
          deaths_max: pos_integer(),
          random: non_neg_integer(),
          delay_ns: non_neg_integer(),
          deaths_in_row: non_neg_integer()
        }

  @type option ::
          {:first_ns, pos_integer()}
          | {:max_ns, pos_integer()}
          | {:stable_ns, pos_integer()}
          | {:deaths_max, pos_integer()}
          | {:seed, non_neg_integer()}

  @doc """
  A seat's backoff before its first death.

  Options: `first_ns` (100 ms), `max_ns` (10 s), `stable_ns` (30 s), `deaths_max` (8), and `seed`,
  from which every delay of this seat follows (by default a random one).
  """
  @spec new([option()]) :: t()
  def new(options \\ []) do
    options = Keyword.validate!(options, [:seed | @defaults])

    seed = Keyword.get_lazy(options, :seed, fn -> :binary.decode_unsigned(:rand.bytes(8)) end)

    for {key, _default} <- @defaults, value = options[key] do
      unless is_integer(value) and value > 0 and value <= @word,
        do: raise(ArgumentError, "#{key} of a backoff must be a positive 64-bit integer")
    end

    unless is_integer(seed) and seed in 0..@word,
      do: raise(ArgumentError, "seed of a backoff must be a 64-bit integer")

    struct!(__MODULE__, options |> Keyword.delete(:seed) |> Keyword.put(:random, seed))
  end

  @doc """
  A worker ended, or could not be started (`uptime_ns` is 0 then, as when it never became ready).

  Returns how long to wait before the next start, or that there shall be none.
  """
  @spec died(t(), non_neg_integer()) :: {:restart, non_neg_integer(), t()} | {:quarantine, t()}
  def died(%__MODULE__{} = backoff, uptime_ns) do
    backoff = if uptime_ns >= backoff.stable_ns, do: reset(backoff), else: backoff
    backoff = %{backoff | deaths_in_row: backoff.deaths_in_row + 1}

    if backoff.deaths_in_row >= backoff.deaths_max do
      {:quarantine, backoff}
    else
      delay_ns = next_delay(backoff)
      {chance, random} = next_random(backoff.random)
      wait_ns = div(delay_ns, 2) + rem(chance, div(delay_ns, 2) + 1)
      {:restart, wait_ns, %{backoff | delay_ns: delay_ns, random: random}}
    end
  end

  @doc "Forgets the deaths so far; the random sequence goes on."
  @spec reset(t()) :: t()
  def reset(%__MODULE__{} = backoff), do: %{backoff | delay_ns: 0, deaths_in_row: 0}

  defp next_delay(%{delay_ns: 0, first_ns: first_ns}), do: first_ns
  defp next_delay(%{delay_ns: delay_ns, max_ns: max_ns}), do: min(delay_ns * 2 &&& @word, max_ns)

  @doc """
  The next value of splitmix64 and the state after it; also a way to draw one seed per seat from a
  seed of the whole.
  """
  @spec next_random(non_neg_integer()) :: {non_neg_integer(), non_neg_integer()}
  def next_random(state) do
    state = state + 0x9E3779B97F4A7C15 &&& @word
    z = bxor(state, state >>> 30) * 0xBF58476D1CE4E5B9 &&& @word
    z = bxor(z, z >>> 27) * 0x94D049BB133111EB &&& @word
    {bxor(z, z >>> 31), state}
  end
end
