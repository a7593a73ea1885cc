defmodule Weir.Native do
  @moduledoc """
  The functions of `weir_nif.so`, as they are: thin, checked, none of them waits.

  Applications use `Weir`; this module is for the processes behind it and for tests.

  Each function raises `ArgumentError` for a wrong type or range, and answers `{:error, status, sentence}` when
  something was refused at run time; `status` is one of libweir's (`:full`, `:timeout`, `:closed`, ...) and the
  sentence names the cause and the fix. References that these functions return are resources: what they stand for is
  given back when they are closed, when their owner process ends, or when they are collected.

  The library is found in the application's `priv` folder: `priv/weir_nif.current` holds the name of the installed
  file, which changes with every build, so that a hot upgrade loads a new file beside the mapped one.
  """

  @on_load :load

  @typedoc "Why something was refused, and what to do about it."
  @type refusal :: {:error, status :: atom, sentence :: binary}

  @typedoc "An open file descriptor, held by the NIF."
  @opaque descriptor :: reference

  @doc """
  Loads the library; runs by itself when the module is loaded. Where no library is installed yet (while the project is
  being compiled for the first time) the module stays without it, and each function raises.
  """
  @spec load :: :ok | {:error, term}
  def load do
    case path() do
      nil -> :ok
      path -> :erlang.load_nif(path, 0)
    end
  end

  @doc """
  Where the library is, without `.so`: what the environment variable `WEIR_NIF` names, else the file named by
  `priv/weir_nif.current`; `nil` when there is none.
  """
  @spec path :: charlist | nil
  def path do
    case System.get_env("WEIR_NIF") do
      nil -> installed()
      file -> file |> Path.rootname(".so") |> to_charlist()
    end
  end

  defp installed do
    with priv when is_list(priv) <- :code.priv_dir(:weir),
         {:ok, name} <- File.read(Path.join(priv, "weir_nif.current")) do
      priv |> Path.join(String.trim(name)) |> to_charlist()
    else
      _missing -> nil
    end
  end

  # --- The library itself ---

  @doc "The library's version."
  @spec version :: binary
  def version, do: missing()

  @doc """
  Which callbacks ran since the library was first loaded or `trace_clear/0`: `{event, what, library}` in order, the
  latest 256. Events are `:load`, `:upgrade`, `:unload` of the `:library`, `:down` and `:stop` of a kind of resource;
  `library` counts loads and upgrades from 1.
  """
  @spec trace :: [{event :: atom, what :: atom, library :: pos_integer}]
  def trace, do: missing()

  @doc "Forgets the trace."
  @spec trace_clear :: :ok
  def trace_clear, do: missing()

  @doc "How many resources of each kind are alive."
  @spec resources :: %{atom => non_neg_integer}
  def resources, do: missing()

  @doc """
  Thread CPU time of the calls so far, per function: `{name, arity, dirty?, calls, longest_ns, total_ns}`. Empty unless
  the library was built with WEIR_NIF_TIMES (every preset but release).
  """
  @spec call_times :: [{atom, arity, boolean, pos_integer, non_neg_integer, non_neg_integer}]
  def call_times, do: missing()

  # --- Descriptors ---

  @doc "A new eventfd, owned by the calling process."
  @spec eventfd_create :: {:ok, descriptor} | refusal
  def eventfd_create, do: missing()

  @doc "Makes an eventfd readable."
  @spec eventfd_ring(descriptor) :: :ok | refusal
  def eventfd_ring(_eventfd), do: missing()

  @doc "Makes an eventfd unreadable; `{:error, :empty, _}` when nobody had rung it."
  @spec eventfd_drain(descriptor) :: :ok | refusal
  def eventfd_drain(_eventfd), do: missing()

  @doc "Sends `{:weir_ready, descriptor}` to the calling process once, when the descriptor is readable."
  @spec descriptor_select(descriptor) :: :ok | refusal
  def descriptor_select(_descriptor), do: missing()

  @doc "Closes a descriptor; once."
  @spec descriptor_close(descriptor) :: :ok | refusal
  def descriptor_close(_descriptor), do: missing()

  @doc "Whether the descriptor is open."
  @spec descriptor_is_open(descriptor) :: boolean
  def descriptor_is_open(_descriptor), do: missing()

  # --- A worker in Elixir ---

  @typedoc "A worker, owned by the process that connected it."
  @opaque worker :: reference

  @typedoc """
  A job: its opcode, its payload (checked, unpacked, copied), its identity, and the `CLOCK_MONOTONIC` nanosecond by
  which the caller wants the answer (0 for none); `:os.perf_counter(:nanosecond)` is on the same clock.
  """
  @type job ::
          {:job, opcode :: 1..0xFFFF, payload :: binary, id :: non_neg_integer,
           deadline_ns :: non_neg_integer}

  @doc """
  Connects to a manager and says HELLO, without waiting.

  Options: `socket`, `token` (what the manager put into `WEIR_SOCKET` and `WEIR_TOKEN`), `opcodes` (1 to 64 of them),
  and, if wanted, `correlation` and `role`. `{:error, :timeout, _}` means that the manager's queue is full and the token
  not used up: try again. Then call `worker_handshake/1` now and at each `{:weir_control, worker}` until it answers
  something else than `:pending`; how long to wait for that is the caller's to say.
  """
  @spec worker_connect(%{
          required(:socket) => binary,
          required(:token) => binary,
          required(:opcodes) => [1..0xFFFF],
          optional(:correlation) => binary,
          optional(:role) => binary
        }) :: {:ok, worker} | refusal
  def worker_connect(_options), do: missing()

  @doc """
  Goes on with the handshake. After `{:ok, terms}` the memory is mapped and the worker serves. A refusal closes it.
  """
  @spec worker_handshake(worker) :: {:ok, map} | :pending | refusal
  def worker_handshake(_worker), do: missing()

  @doc """
  Looks at the control socket; to be called at `{:weir_control, worker}` while serving. `{:error, :peer_dead, _}` means
  that the manager is gone: the process has to end.
  """
  @spec worker_control(worker) :: :ok | refusal
  def worker_control(_worker), do: missing()

  @doc "Says goodbye and gives back memory and descriptors; what was not answered is lost."
  @spec worker_close(worker) :: :ok | refusal
  def worker_close(_worker), do: missing()

  @doc """
  Takes the next job and marks it as begun. One job is open at a time: answer it with `worker_reply/3`.

    * `:empty` - nothing there: `worker_park/1`
    * `:drained` - nothing there, and the manager (or `worker_drain/1`) asked to drain: park as well; more may come
    * `:shutdown` - nothing there, and nothing will come: `worker_close/1` and end
    * `:large` - the next payload is above 256 KiB: `worker_next_large/1`
    * `:more` - jobs were refused (late, damaged, unknown opcode) and answered; call again
    * `:full` - the reply would have to wait for room: call again within a millisecond or so
    * `{:error, :protocol, _}` - the manager broke the protocol: the process has to end
  """
  @spec worker_next(worker) ::
          job | :empty | :drained | :shutdown | :large | :more | :full | refusal
  def worker_next(_worker), do: missing()

  @doc "`worker_next/1` on a dirty scheduler, for payloads of any length."
  @spec worker_next_large(worker) :: job | :empty | :drained | :shutdown | :more | :full | refusal
  def worker_next_large(_worker), do: missing()

  @doc """
  Answers the open job: `:ok` with the result, `:failed` with a sentence for the caller (cut after 255 bytes),
  `:oversize` or `:no_slot` (the payload is not looked at).

  `:full` means that no slot is free just now: the job stays open; try again after a millisecond until the job's
  deadline (a second if it has none), then answer `:no_slot`. `{:error, :oversize, _}` leaves the job open too: answer
  `:oversize`. `:large` asks for `worker_reply_large/3`.
  """
  @spec worker_reply(worker, :ok | :failed | :oversize | :no_slot, binary) ::
          :ok | :full | :large | refusal
  def worker_reply(_worker, _status, _payload), do: missing()

  @doc "`worker_reply/3` on a dirty scheduler, for payloads of any length."
  @spec worker_reply_large(worker, :ok | :failed | :oversize | :no_slot, binary) ::
          :ok | :full | refusal
  def worker_reply_large(_worker, _status, _payload), do: missing()

  @doc """
  Announces that the worker sleeps: `{:weir_ready, worker}` comes when there is something to do. `:busy` means that
  there is something already. `worker_next/1` ends the sleep; call it every 250 ms whether woken or not, since the
  other side can lose a wake.
  """
  @spec worker_park(worker) :: :parked | :busy | refusal
  def worker_park(_worker), do: missing()

  @doc "Writes a heartbeat with the counters; every 500 ms, from any process."
  @spec worker_beat(worker) :: :ok | refusal
  def worker_beat(_worker), do: missing()

  @doc "Says that a long job is getting on."
  @spec worker_progress(worker) :: :ok | refusal
  def worker_progress(_worker), do: missing()

  @doc "The host wants to end (SIGTERM): tells the manager, which sends nothing new."
  @spec worker_drain(worker) :: :ok | refusal
  def worker_drain(_worker), do: missing()

  @doc "Counters of the worker."
  @spec worker_stats(worker) :: map | refusal
  def worker_stats(_worker), do: missing()

  defp missing do
    :erlang.nif_error("weir_nif.so is not loaded; run mix compile, which builds and installs it")
  end
end
