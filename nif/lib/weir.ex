defmodule Weir do
  @moduledoc """
  Compute jobs for native worker processes, through shared memory.

  An instance belongs into a supervision tree, before those who use it:

      children = [
        {Weir,
         name: MyApp.Weir,
         pools: [[name: :images, command: ["/usr/lib/my_app/image-worker"], workers: 2]]},
        MyAppWeb.Endpoint
      ]

  Then any process may hand it jobs:

      {:ok, result} = Weir.run(MyApp.Weir, {:echo, "hello"})
      result.payload

  A job is `{opcode, payload}`: the opcode by its name or number, the payload a binary. Each accepted
  job ends in exactly one way: `{:ok, %Weir.Result{}}` or `{:error, %Weir.Error{}}`. When the
  calling process dies, its jobs are cancelled.

  Options of a job:

    * `:pool` - the pool's name; the instance's first one by default
    * `:timeout` - milliseconds or `:infinity`; the instance's `:timeout` by default
    * `:idempotent` - `true` lets it be sent again, at most twice, when a worker dies in it
    * `:pinned` - `true` leaves the reply in shared memory, in a pool with `trusted: true`: nothing is
      copied, but the worker could change the bytes later. Never give such a binary to
      `:erlang.binary_to_term/1`; copy it first

  `Weir.Options` lists what an instance and its pools can be told.
  """

  alias Weir.{Error, Handle, Instance, Job, JobDispatcher, Result, ResultIngestor}

  @typedoc "By name, as in the layout or the pool's `:opcodes`, or by number."
  @type opcode :: atom() | 1..65_535
  @type job :: {opcode(), iodata()}
  @type outcome :: {:ok, Result.t()} | {:error, Error.t()}
  @type option ::
          {:pool, atom()}
          | {:timeout, pos_integer() | :infinity}
          | {:idempotent, boolean()}
          | {:pinned, boolean()}

  @doc """
  The child specification of an instance; `Weir.Options` describes the options.

  Stopping it takes no new jobs, waits up to `:drain` milliseconds for the accepted ones, and ends
  the workers.
  """
  @spec child_spec(keyword()) :: Supervisor.child_spec()
  def child_spec(options) do
    %{
      id: {__MODULE__, Keyword.get(options, :name)},
      start: {__MODULE__, :start_link, [options]},
      type: :supervisor
    }
  end

  @doc """
  Starts an instance. Raises `ArgumentError` for a wrong option.

  Returns as soon as the workers are being started; jobs that come earlier wait for them or are
  rejected, as the pool's policy says. `await_ready/2` waits for the workers.
  """
  @spec start_link(keyword()) :: Supervisor.on_start()
  def start_link(options), do: Instance.start_link(options)

  @doc "Hands over a job and waits for its end."
  @spec run(atom(), job(), [option()]) :: outcome()
  def run(instance, {opcode, payload}, options \\ []) do
    JobDispatcher.run(Handle.fetch!(instance), opcode, payload, options)
  end

  @doc "The same, but returns the result itself and raises the `Weir.Error`."
  @spec run!(atom(), job(), [option()]) :: Result.t()
  def run!(instance, job, options \\ []) do
    case run(instance, job, options) do
      {:ok, result} -> result
      {:error, error} -> raise error
    end
  end

  @doc """
  Hands over many payloads with one opcode at once, which is much cheaper per job, and waits for all.

  Returns one outcome per payload, in the order of the payloads. The options hold for each job.
  """
  @spec run_many(atom(), {opcode(), [iodata()]}, [option()]) :: [outcome()]
  def run_many(instance, {opcode, payloads}, options \\ []) when is_list(payloads) do
    JobDispatcher.run_many(Handle.fetch!(instance), opcode, payloads, options)
  end

  @doc """
  Hands over a job without waiting for its end. The process that submits it awaits it.

  A job that ends at once (there is no room, say) is accepted all the same; `await/2` tells. The
  policy `:wait` does not wait here: without room the job ends as rejected.
  """
  @spec submit(atom(), job(), [option()]) :: Job.t()
  def submit(instance, {opcode, payload}, options \\ []) do
    JobDispatcher.submit(Handle.fetch!(instance), opcode, payload, options)
  end

  @doc """
  Waits for the end of a submitted job, at most that many milliseconds.

  `:pending` means that it has not ended; it may be awaited again. Each outcome is told once.
  """
  @spec await(Job.t(), timeout()) :: outcome() | :pending
  def await(%Job{} = job, timeout \\ :infinity), do: JobDispatcher.await(job, timeout)

  @doc """
  Cancels a submitted job; any process may. `:not_found` when it has ended or is being sent at this
  very moment. `await/2` tells how it ended.
  """
  @spec cancel(Job.t()) :: :ok | :not_found
  def cancel(%Job{} = job), do: JobDispatcher.cancel(job)

  @doc """
  Waits until every worker of every pool is ready. Returns `{:error, sentence}` when one cannot be
  started or the time is over.
  """
  @spec await_ready(atom(), timeout()) :: :ok | {:error, String.t()}
  def await_ready(instance, timeout \\ 10_000), do: Instance.await_ready(instance, timeout)

  @doc """
  Replaces the workers of a pool one by one, losing no job. Reloads of an instance follow one
  another. Returns `{:error, sentence}` when a new worker does not start; the old ones stay then.
  """
  @spec reload(atom(), atom() | nil, timeout()) :: :ok | {:error, String.t()}
  def reload(instance, pool \\ nil, timeout \\ 60_000) do
    ResultIngestor.reload(Handle.fetch!(instance), pool, timeout)
  end

  @doc """
  Counters of the instance since its start, by name; see `weir_manager_stats`. Raises `Weir.Error`
  when the instance is just closing.
  """
  @spec stats(atom()) :: map()
  def stats(instance) do
    case Weir.Native.stats(Handle.fetch!(instance).manager) do
      {:error, _status, sentence} -> raise Error, outcome: :closed, text: sentence
      stats -> stats
    end
  end

  @doc "What is known of each worker; see `Weir.WorkerRegistry`."
  @spec workers(atom()) :: [map()]
  def workers(instance), do: Weir.WorkerRegistry.workers(instance)
end
