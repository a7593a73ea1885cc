defmodule Weir.Harness.Generator do
  @moduledoc """
  The jobs of a run, made from its seed.

  Job number n of a seed is always the same request, whichever process asks, so a run can be
  repeated. An echo or crc request begins with eight bytes that belong to its number alone, so that
  two jobs' payloads never pass for each other, followed by a slice of a block of random bytes. The
  others are prepared scenarios.
  """

  import Bitwise

  alias Weir.Harness.{CrcOracle, Scenarios}

  @block_bytes 2 * 1_048_576
  @largest 1_048_576
  @usual 16_384
  @offsets div(@block_bytes - @largest, 64)
  @range 1 <<< 32

  # Weights of the mixed workload; see harness/workloads/mixed.toml.
  @mix [
    {:echo, {:log, @usual}, 400},
    {:crc, {:log, @usual}, 400},
    {:echo, {:list, [0, 1, 65_536, 262_144, @largest]}, 10},
    {:crc, {:between, 65_536, @largest}, 10},
    {:simulate, :scenario, 60},
    {:pathfind, :scenario, 60},
    {:worldgen, :scenario, 30},
    {:analytics, :scenario, 30}
  ]

  @enforce_keys [:seed, :mix, :weights, :scenarios, :replies, :crc, :block]
  defstruct [:seed, :mix, :weights, :scenarios, :replies, :crc, :block]

  @type t :: %__MODULE__{}
  @type task :: {number :: non_neg_integer(), opcode :: atom(), payload :: binary(), term()}

  @doc "All opcodes of the mix."
  @spec opcodes() :: [atom()]
  def opcodes, do: @mix |> Enum.map(&elem(&1, 0)) |> Enum.uniq()

  @doc """
  For a seed and some of the opcodes. Options: `:large`, whether there are payloads above 16 KiB
  (true).
  """
  @spec new(non_neg_integer(), [atom()], keyword()) :: t()
  def new(seed, opcodes, options \\ []) do
    large? = Keyword.get(options, :large, true)

    mix =
      for {opcode, size, weight} <- @mix,
          opcode in opcodes,
          large? or match?({:log, _}, size) or size == :scenario,
          do: {opcode, size, weight}

    scenarios =
      for {opcode, :scenario, _} <- mix, scenario <- Scenarios.make(opcode, seed), do: scenario

    block = block(seed)

    %__MODULE__{
      seed: seed,
      mix: mix,
      weights: mix |> Enum.map(&elem(&1, 2)) |> Enum.sum(),
      scenarios: List.to_tuple(scenarios),
      replies: %{},
      crc: if(:crc in opcodes, do: CrcOracle.new(block)),
      block: block
    }
  end

  defp block(seed) do
    state = :rand.seed_s(:exsss, {seed &&& 0xFFFFFFFF, seed >>> 32, 1})
    {bytes, _} = :rand.bytes_s(@block_bytes, state)
    bytes
  end

  @doc "Job number `number`."
  @spec task(t(), non_neg_integer()) :: task()
  def task(%__MODULE__{} = generator, number) do
    {opcode, size} = pick(generator.mix, draw(generator, number, :mix, generator.weights))

    case size do
      :scenario -> scenario(generator, number, opcode)
      size -> plain(generator, number, opcode, size)
    end
  end

  @doc "A number below `below` that belongs to the job and the key."
  @spec draw(t(), non_neg_integer(), term(), pos_integer()) :: non_neg_integer()
  def draw(generator, number, key, below),
    do: rem(:erlang.phash2({generator.seed, number, key}, @range), below)

  defp pick([{opcode, size, weight} | _], at) when at < weight, do: {opcode, size}
  defp pick([{_, _, weight} | rest], at), do: pick(rest, at - weight)

  defp plain(generator, number, opcode, size) do
    bytes = bytes(generator, number, size)
    offset = draw(generator, number, :offset, @offsets) * CrcOracle.step()
    head = binary_part(<<number::little-64>>, 0, min(bytes, 8))
    rest = bytes - byte_size(head)
    payload = <<head::binary, binary_part(generator.block, offset, rest)::binary>>

    expected =
      if opcode == :crc, do: {:crc, bytes, CrcOracle.of(generator.crc, head, offset, rest)}

    {number, opcode, payload, expected}
  end

  defp bytes(generator, number, {:list, list}),
    do: Enum.at(list, draw(generator, number, :size, length(list)))

  defp bytes(generator, number, {:between, least, most}),
    do: least + draw(generator, number, :size, most - least + 1)

  # Evenly over the logarithms; one more than the size, so that 0 has one, too.
  defp bytes(generator, number, {:log, most}) do
    unit = draw(generator, number, :size, @range) / @range
    min(trunc(:math.exp(unit * :math.log(most + 2))) - 1, most)
  end

  defp scenario(generator, number, opcode) do
    first = Enum.find(0..tuple_size(generator.scenarios), &at(generator, &1, opcode))
    index = first + draw(generator, number, :scenario, Scenarios.per_opcode())
    {number, opcode, elem(generator.scenarios, index).request, index}
  end

  defp at(generator, index, opcode), do: elem(generator.scenarios, index).opcode == opcode

  @doc "One job for each scenario, numbered from `first` on."
  @spec scenario_tasks(t(), non_neg_integer()) :: [task()]
  def scenario_tasks(%__MODULE__{scenarios: scenarios}, first) do
    for {scenario, index} <- scenarios |> Tuple.to_list() |> Enum.with_index() do
      {first + index, scenario.opcode, scenario.request, index}
    end
  end

  @doc "Keeps a scenario's first reply; later ones must have the same bits."
  @spec learn(t(), task(), binary()) :: t()
  def learn(%__MODULE__{} = generator, {_number, _opcode, _payload, index}, reply),
    do: %{generator | replies: Map.put(generator.replies, index, reply)}

  @doc "Checks a reply against the oracle: nil when it is right, else a sentence."
  @spec check(t(), task(), binary()) :: String.t() | nil
  def check(_generator, {_, :echo, payload, _}, reply) do
    cond do
      reply == payload -> nil
      byte_size(reply) != byte_size(payload) -> "the echo has another length than the request"
      true -> "the echo differs from the request"
    end
  end

  def check(_generator, {_, :crc, _, {:crc, bytes, crc}}, reply) do
    case reply do
      <<^bytes::little-64, ^crc::little-32, 0::32>> -> nil
      <<^bytes::little-64, _::binary-size(8)>> -> "the crc is not that of the request"
      _ -> "the crc reply counts other bytes than the request has"
    end
  end

  def check(generator, {_, opcode, _, index}, reply) do
    oracle = elem(generator.scenarios, index).oracle

    case generator.replies do
      # Those bits were checked when they were kept.
      %{^index => ^reply} ->
        nil

      %{^index => _} ->
        "the #{opcode} reply differs from that of an earlier run of the same request"

      _ ->
        if oracle, do: oracle.(reply)
    end
  end
end
