defmodule Weir.Harness.Subject do
  @moduledoc """
  What is put under load: an instance of Weir with its worker processes (`--ring shm`), or the path
  that stays in the VM's memory (`--ring memory`).

  Every end of a job is `{outcome, payload or nil, nanoseconds}`.
  """

  alias Weir.{Error, Fallback, Options, Result}
  alias Weir.Layout.Generated, as: Layout

  @enforce_keys [:kind, :name, :pid]
  defstruct [:kind, :name, :pid]

  @type t :: %__MODULE__{kind: :shm | :memory, name: atom(), pid: pid()}
  @type ended :: {atom(), binary() | nil, non_neg_integer()}

  @name Weir.Harness.Instance
  @job_timeout_ms 30_000
  @idempotent 1
  @slot_bytes 1_048_576

  # Room for a handful of the largest payloads beside many small ones.
  @classes [{256, 512}, {4_096, 128}, {16_384, 64}, {65_536, 8}, {1_048_576, 4}]

  @doc "Starts it, linked to the caller, and waits until it serves."
  @spec start(map()) :: {:ok, t()} | {:error, String.t()}
  def start(%{ring: :memory} = settings) do
    options = [
      name: @name,
      workers: settings.workers,
      slot_bytes: @slot_bytes,
      no_room: :defer,
      deferred_max: 65_536
    ]

    case Fallback.start_link(options) do
      {:ok, pid} -> {:ok, %__MODULE__{kind: :memory, name: @name, pid: pid}}
      {:error, reason} -> {:error, "the path in memory does not start: #{inspect(reason)}"}
    end
  end

  def start(%{ring: :shm} = settings) do
    pool = [
      name: :loopback,
      command: command(settings.worker),
      workers: settings.workers,
      policy: :wait,
      trusted: true,
      wake: if(settings.wake, do: [settings.wake], else: [:futex, :eventfd, :signal]),
      backoff: [first_ms: 50, max_ms: 1_000, deaths_max: deaths_max(settings)],
      memory: [request: @classes, response: @classes]
    ]

    options = [
      name: @name,
      pools: [pool],
      timeout: @job_timeout_ms,
      seed: settings.seed
    ]

    case Weir.start_link(options) do
      {:ok, pid} -> ready(%__MODULE__{kind: :shm, name: @name, pid: pid})
      {:error, reason} -> {:error, "Weir does not start: #{sentence(reason)}"}
    end
  end

  # Whoever kills workers on purpose must not have them given up.
  defp deaths_max(%{chaos: []}), do: 8
  defp deaths_max(_), do: 1_000_000

  defp ready(subject) do
    case Weir.await_ready(subject.name, 20_000) do
      :ok ->
        {:ok, subject}

      {:error, why} ->
        stop(subject)
        {:error, why}
    end
  end

  defp sentence({:shutdown, {:failed_to_start_child, _, reason}}), do: sentence(reason)
  defp sentence(reason) when is_binary(reason), do: reason
  defp sentence(reason), do: inspect(reason)

  # The worker in C calls itself so.
  defp command(:c), do: ["weir-loopback"]
  defp command(:beam), do: Weir.BeamWorker.command(role: "loopback")

  @doc "Stops it and waits until it is gone."
  @spec stop(t()) :: :ok
  def stop(%__MODULE__{kind: :memory, pid: pid}) do
    Fallback.drain(pid, 5_000)
    GenServer.stop(pid, :normal, 10_000)
  catch
    :exit, _ -> :ok
  end

  def stop(%__MODULE__{kind: :shm, pid: pid}) do
    Supervisor.stop(pid, :shutdown, 30_000)
  catch
    :exit, _ -> :ok
  end

  @doc "One job, waited for."
  @spec run(t(), atom(), binary(), boolean()) :: ended()
  def run(%__MODULE__{kind: :shm, name: name}, opcode, payload, pinned?),
    do: name |> Weir.run({opcode, payload}, options(pinned?)) |> ended()

  def run(%__MODULE__{kind: :memory, name: name}, opcode, payload, _pinned?),
    do: name |> Fallback.run(number(opcode), payload, timeout_ns(), @idempotent) |> ended()

  @doc "Many jobs of one opcode, waited for."
  @spec run_many(t(), atom(), [binary()], boolean()) :: [ended()]
  def run_many(%__MODULE__{kind: :shm, name: name}, opcode, payloads, pinned?),
    do: name |> Weir.run_many({opcode, payloads}, options(pinned?)) |> Enum.map(&ended/1)

  def run_many(%__MODULE__{kind: :memory, name: name}, opcode, payloads, _pinned?) do
    name
    |> Fallback.run_many(number(opcode), payloads, timeout_ns(), @idempotent)
    |> Enum.map(&ended/1)
  end

  @doc "Jobs that are submitted before the first of them is awaited."
  @spec run_later(t(), [{atom(), binary()}]) :: [ended()]
  def run_later(%__MODULE__{kind: :shm, name: name}, jobs) do
    submitted = for job <- jobs, do: Weir.submit(name, job, options(false))
    for job <- submitted, do: job |> Weir.await(:infinity) |> ended()
  end

  def run_later(%__MODULE__{kind: :memory} = subject, jobs),
    do: for({opcode, payload} <- jobs, do: run(subject, opcode, payload, false))

  # A job that is given up after its time would leave the ledger open; libweir ends each one.
  defp options(pinned?), do: [timeout: @job_timeout_ms, idempotent: true, pinned: pinned?]
  defp timeout_ns, do: @job_timeout_ms * 1_000_000
  defp number(opcode), do: Map.fetch!(Options.layout_opcodes(), opcode)

  defp ended({:ok, %Result{payload: payload, elapsed_ns: ns}}), do: {:ok, payload, ns}
  defp ended({:error, %Error{outcome: outcome, elapsed_ns: ns}}), do: {outcome, nil, ns}
  defp ended({:done, outcome, payload, _sent_count, ns}), do: {outcome, payload, ns}

  @doc """
  The counters, by the names of `weir_manager_stats`; those that the path in memory does not have
  are 0.
  """
  @spec stats(t()) :: map()
  def stats(%__MODULE__{kind: :shm, name: name}), do: Weir.stats(name)

  def stats(%__MODULE__{kind: :memory, name: name}) do
    stats = Fallback.stats(name)
    outcomes = Map.new(Weir.Harness.Ledger.outcomes(), &{&1, Map.get(stats.outcomes, &1, 0)})

    %{
      submitted: stats.submitted,
      outcomes: outcomes,
      in_flight: stats.in_flight,
      deferred_now: stats.deferred,
      stray_replies: stats.stray,
      restarts: stats.restarts,
      resent: 0,
      deferred: 0,
      protocol_errors: 0,
      bytes_copied: 0,
      slots_taken: 0,
      held_bytes: 0,
      parks: 0,
      spin_hits: 0,
      wakes_sent: 0
    }
  end

  @doc "Each worker as a map, see `Weir.workers/1`; none on the path in memory."
  @spec workers(t()) :: [map()]
  def workers(%__MODULE__{kind: :shm, name: name}), do: Weir.workers(name)
  def workers(%__MODULE__{kind: :memory}), do: []

  @doc "How many workers serve now."
  @spec ready_count(t()) :: non_neg_integer()
  def ready_count(%__MODULE__{kind: :memory, name: name}),
    do: Enum.count(Fallback.stats(name).workers, fn {_, state, _} -> state == :serving end)

  def ready_count(%__MODULE__{} = subject),
    do: Enum.count(workers(subject), &(&1.state == :ready))

  @doc "Name of the wake strategy that a worker last slept by."
  @spec strategy(non_neg_integer()) :: atom()
  def strategy(code), do: Layout.wake_strategy_name(code)
end
