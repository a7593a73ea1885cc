defmodule Weir.Harness.Ledger do
  @moduledoc """
  What became of every job of a run.

  Each job number is entered before it is submitted and closed by its outcome. A job that is closed
  twice, was never entered, never ends, or ends as ok with a wrong reply is a violation; so is
  anything else that somebody complains about. A run has held its promises when there are none.

  Any process may enter, close and complain at once. The tables belong to the process that called
  `new/1`. A job takes one byte, seven of them to a word, so that a word stays a small integer.
  """

  import Bitwise

  alias Weir.Layout.Generated, as: Layout

  @per_word 7
  @block_words 1 <<< 14
  @block_jobs @block_words * @per_word

  # What a job's byte says; from @ended on, the outcome.
  @absent 0
  @entered 1
  @ended 16

  # Violations kept as text; more are only counted.
  @violations_max 12

  @outcomes for code <- 1..32, name = Layout.outcome_name(code), do: {name, code}
  @codes Map.new(@outcomes)
  @names Map.new(@outcomes, fn {name, code} -> {code, name} end)

  @count_entered 1
  @count_verified 2
  @count_found 3
  @count_outcomes 3

  @enforce_keys [:table, :counts, :base]
  defstruct [:table, :counts, :base]

  @type t :: %__MODULE__{
          table: :ets.tid(),
          counts: :counters.counters_ref(),
          base: non_neg_integer()
        }

  @type totals :: %{
          entered: non_neg_integer(),
          closed: non_neg_integer(),
          verified: non_neg_integer(),
          outcomes: %{atom() => non_neg_integer()}
        }

  @doc "An empty ledger for jobs from number `base` on."
  @spec new(non_neg_integer()) :: t()
  def new(base \\ 0) do
    table = :ets.new(__MODULE__, [:set, :public, read_concurrency: true])
    :ets.insert(table, {:end, base})
    counts = :counters.new(@count_outcomes + map_size(@codes), [:write_concurrency])
    %__MODULE__{table: table, counts: counts, base: base}
  end

  @doc "Gives the tables back."
  @spec free(t()) :: :ok
  def free(%__MODULE__{table: table}) do
    :ets.delete(table)
    :ok
  end

  @doc "The names of all outcomes, in the order of the layout."
  @spec outcomes() :: [atom()]
  def outcomes, do: Keyword.keys(@outcomes)

  @doc "Enters `count` jobs from number `first` on, before they are submitted."
  @spec enter(t(), non_neg_integer(), non_neg_integer()) :: :ok
  def enter(%__MODULE__{}, _first, 0), do: :ok

  def enter(%__MODULE__{} = ledger, first, count) do
    for number <- first..(first + count - 1) do
      if exchange(ledger, number, @entered) != @absent,
        do: complain(ledger, "job #{number} was submitted twice")
    end

    :counters.add(ledger.counts, @count_entered, count)
    raise_end(ledger, first + count)
  end

  @doc "Closes a job. `wrong` is nil, or what the oracle says against its reply."
  @spec close(t(), non_neg_integer(), atom(), String.t() | nil) :: :ok
  def close(%__MODULE__{} = ledger, number, outcome, wrong \\ nil) do
    case @codes do
      %{^outcome => code} -> close(ledger, number, outcome, code, wrong)
      _ -> complain(ledger, "job #{number} ended as #{inspect(outcome)}, which is no outcome")
    end
  end

  defp close(ledger, number, outcome, code, wrong) do
    case exchange(ledger, number, @ended + code) do
      @entered ->
        :counters.add(ledger.counts, @count_outcomes + code, 1)
        judge(ledger, number, outcome, wrong)

      before when before >= @ended ->
        complain(
          ledger,
          "job #{number} ended twice: first #{@names[before - @ended]}, then #{outcome}"
        )

      _absent ->
        complain(ledger, "job #{number} ended as #{outcome} but was not submitted")
    end
  end

  defp judge(ledger, _number, :ok, nil), do: :counters.add(ledger.counts, @count_verified, 1)
  defp judge(_ledger, _number, _outcome, nil), do: :ok

  defp judge(ledger, number, outcome, wrong),
    do: complain(ledger, "job #{number} ended as #{outcome}, but #{wrong}")

  @doc "Writes down a violation: one sentence."
  @spec complain(t(), String.t()) :: :ok
  def complain(%__MODULE__{} = ledger, sentence) do
    :counters.add(ledger.counts, @count_found, 1)
    number = :ets.update_counter(ledger.table, :complaints, 1, {:complaints, 0})
    if number <= @violations_max, do: :ets.insert(ledger.table, {{:violation, number}, sentence})
    :ok
  end

  @doc "Finds the jobs without an outcome, each a violation. Nobody may enter or close meanwhile."
  @spec audit(t()) :: :ok
  def audit(%__MODULE__{} = ledger) do
    [{:end, last}] = :ets.lookup(ledger.table, :end)

    for block <-
          Enum.sort(
            for {block, _} when is_integer(block) <- :ets.tab2list(ledger.table), do: block
          ),
        first = ledger.base + block * @block_jobs,
        number <- first..(min(last, first + @block_jobs) - 1)//1,
        peek(ledger, number) == @entered do
      complain(ledger, "job #{number} never ended")
    end

    :ok
  end

  @doc "The sums."
  @spec totals(t()) :: totals()
  def totals(%__MODULE__{counts: counts}) do
    outcomes =
      Map.new(@outcomes, fn {name, code} ->
        {name, :counters.get(counts, @count_outcomes + code)}
      end)

    %{
      # Closed before entered, so that a sum taken while jobs go on is never impossible.
      closed: outcomes |> Map.values() |> Enum.sum(),
      verified: :counters.get(counts, @count_verified),
      entered: :counters.get(counts, @count_entered),
      outcomes: outcomes
    }
  end

  @doc "How many violations there are, and the first of them as text."
  @spec violations(t()) :: {non_neg_integer(), [String.t()]}
  def violations(%__MODULE__{table: table, counts: counts}) do
    texts =
      for number <- 1..@violations_max,
          {_, text} <- :ets.lookup(table, {:violation, number}),
          do: text

    {:counters.get(counts, @count_found), texts}
  end

  # --- Bytes ---

  defp place(ledger, number) do
    at = number - ledger.base
    within = rem(at, @block_jobs)
    {div(at, @block_jobs), div(within, @per_word) + 1, rem(within, @per_word) * 8}
  end

  defp exchange(ledger, number, byte) when number >= ledger.base do
    {block, word, shift} = place(ledger, number)
    exchange_in(block(ledger, block), word, shift, byte)
  end

  # Numbers that this ledger could never have given out.
  defp exchange(_ledger, _number, _byte), do: @absent

  defp exchange_in(atomics, word, shift, byte) do
    old = :atomics.get(atomics, word)
    before = old >>> shift &&& 0xFF
    new = old - (before <<< shift) + (byte <<< shift)

    case :atomics.compare_exchange(atomics, word, old, new) do
      :ok -> before
      _changed -> exchange_in(atomics, word, shift, byte)
    end
  end

  defp peek(ledger, number) do
    {block, word, shift} = place(ledger, number)
    :atomics.get(block(ledger, block), word) >>> shift &&& 0xFF
  end

  defp block(%{table: table}, number) do
    case :ets.lookup(table, number) do
      [{_, atomics}] ->
        atomics

      [] ->
        :ets.insert_new(table, {number, :atomics.new(@block_words, signed: false)})
        [{_, atomics}] = :ets.lookup(table, number)
        atomics
    end
  end

  defp raise_end(%{table: table}, last) do
    case :ets.lookup(table, :end) do
      [{:end, now}] when now >= last ->
        :ok

      [{:end, now}] ->
        match = [{{:end, now}, [], [{{:end, last}}]}]

        if :ets.select_replace(table, match) == 1,
          do: :ok,
          else: raise_end(%{table: table}, last)
    end
  end
end
