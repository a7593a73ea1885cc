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

  # --- The manager ---

  @typedoc "A manager: libweir's, run by whoever takes a turn."
  @opaque manager :: reference
  @typedoc "One calling process, as a manager knows it."
  @opaque caller :: reference
  @typedoc "Many jobs of one caller."
  @opaque batch :: reference

  @typedoc "How a job ended."
  @type outcome ::
          :ok
          | :failed
          | :timeout
          | :worker_lost
          | :manager_lost
          | :corrupt
          | :rejected
          | :oversize
          | :unsupported
          | :incompatible
          | :cancelled

  @typedoc "The name of a job, chosen by its caller; messages carry it."
  @type tag :: reference | atom | integer

  @typedoc "The end of one job of a batch."
  @type item ::
          {index :: non_neg_integer, outcome, payload :: binary | nil,
           sent_count :: non_neg_integer, elapsed_ns :: non_neg_integer}

  @typedoc """
  Nanoseconds from now, or never. A job whose time is over ends as `:timeout`.
  """
  @type timeout_ns :: non_neg_integer | :infinity

  @typedoc """
  The sum of 1 (idempotent: may be executed again when a worker dies), 2 (pinned: the result may stay in the
  worker's memory, if its pool is trusted) and 4 (later: the result always comes as a message; single jobs only).
  """
  @type flags :: 0..7

  @doc """
  Makes a manager without pools. Options, all optional: `runtime_directory`, `job_capacity`, `seed`,
  `held_bytes_max`, `trace_jobs`; see `weir_manager_options` in `weir/manager.h`.
  """
  @spec manager_create(map) :: {:ok, manager} | refusal
  def manager_create(_options), do: missing()

  @doc """
  Adds a pool. `role` (binary) and `command` (`[path | arguments]`) are required; `policy` is `:reject`,
  `:drop_oldest`, `:defer` or `:wait` (which here means `:defer`: the job waits, no scheduler does); `trusted: true`
  allows pinned results; `arena` is `%{ring_capacity: n, request_classes: [{bytes, count}], response_classes: ...}`.
  The rest is as in `weir_pool_options`: `worker_count`, `in_flight_max`, `high_percent`, `low_percent`, `deferred_max`,
  `wake_strategies`, `capabilities`, `without_payload_crc`, `compress_min_bytes`, `spin_ns`, `start_timeout_ns`,
  `silence_ns`, `stuck_ns`, `kill_ns`, `stable_ns`, `deaths_max`. An unknown key is a bad argument.

  No process is started: the owner is told which seats are vacant.
  """
  @spec manager_add_pool(manager, map) :: {:ok, pool :: non_neg_integer} | refusal
  def manager_add_pool(_manager, _options), do: missing()

  @doc """
  Makes a process the owner. It gets

    * `{:weir_ready, manager}`: take a turn;
    * `{:weir_event, kind, pool_name, seat, generation, pid, time_ns, text}`;
    * `{:weir_start, pool, seat, generation, socket, token, correlation}`: start that worker now, with
      `WEIR_SOCKET`, `WEIR_TOKEN` and `WEIR_CORRELATION` in its environment.

  Its death closes the manager. Adopt before adding pools, or events are lost.
  """
  @spec manager_adopt(manager, pid) :: :ok | refusal
  def manager_adopt(_manager, _pid), do: missing()

  @doc """
  One bounded turn: takes in replies, ends what is overdue, sends what waited, and tells the callers.

  `again?` says that another turn should follow at once (after letting others run), `long?` that `turn_long/1` is due;
  otherwise `park/1` is next.
  """
  @spec turn(manager) ::
          {done :: non_neg_integer, again? :: boolean, long? :: boolean,
           outstanding :: non_neg_integer, wait_ns :: timeout_ns}
          | refusal
  def turn(_manager), do: missing()

  @doc "The same on a dirty scheduler, with supervision and large payloads."
  @spec turn_long(manager) ::
          {done :: non_neg_integer, again? :: boolean, long? :: boolean,
           outstanding :: non_neg_integer, wait_ns :: timeout_ns}
          | refusal
  def turn_long(_manager), do: missing()

  @doc """
  The owner goes idle: `{:weir_ready, manager}` comes when there is something to do. It must take a turn after
  `wait_ns` in any case (a millisecond while callers are busy and find their results themselves). `:busy`: take a turn
  first.
  """
  @spec park(manager) ::
          {:parked, wait_ns :: timeout_ns, outstanding :: non_neg_integer} | :busy | refusal
  def park(_manager), do: missing()

  @doc "The vacant seat is to be filled; the order comes in one of the next long turns."
  @spec start_worker(manager, pool :: non_neg_integer, seat :: non_neg_integer) :: :ok | refusal
  def start_worker(_manager, _pool, _seat), do: missing()

  @doc "The process of an order could not be started, or ended before it connected; the sentence says why."
  @spec start_failed(manager, non_neg_integer, non_neg_integer, non_neg_integer, binary) ::
          :ok | refusal
  def start_failed(_manager, _pool, _seat, _generation, _sentence), do: missing()

  @doc "From now on no new jobs are taken."
  @spec drain_begin(manager) :: :ok | refusal
  def drain_begin(_manager), do: missing()

  @doc "Takes no new jobs, and tells whether all others have ended."
  @spec is_drained(manager) :: boolean | refusal
  def is_drained(_manager), do: missing()

  @doc "Begins to replace the workers of a pool one by one; the event `reloaded` tells the end."
  @spec reload(manager, pool :: non_neg_integer) :: :ok | refusal
  def reload(_manager, _pool), do: missing()

  @doc """
  Ends what is left as cancelled, stops the workers and frees everything, on a thread of its own. The owner gets
  `{:weir_closed, manager}` at the end.
  """
  @spec close(manager) :: :ok
  def close(manager), do: manager_close(manager)

  @doc "What `close/1` calls."
  @spec manager_close(manager) :: :ok
  def manager_close(_manager), do: missing()

  @doc "Counters since the start, as `weir_manager_stats`."
  @spec stats(manager) :: map | refusal
  def stats(_manager), do: missing()

  @doc "The workers as the registry knows them, as `weir_worker_info`; an empty spare seat is not listed."
  @spec workers(manager) :: [map] | refusal
  def workers(_manager), do: missing()

  # --- Jobs ---

  @doc "Makes the calling process a caller; when it dies its jobs are cancelled."
  @spec caller_open(manager) :: {:ok, caller} | refusal
  def caller_open(_manager), do: missing()

  @doc """
  Submits a job and takes a turn. `:pending`: the result comes as
  `{tag, :done, outcome, payload, sent_count, elapsed_ns}`. `:large`: nothing was done, the payload needs
  `job_run_large/7`.
  """
  @spec job_run(caller, tag, non_neg_integer, non_neg_integer, binary, timeout_ns, flags) ::
          {:done, outcome, binary | nil, non_neg_integer, non_neg_integer}
          | :pending
          | :large
          | refusal
  def job_run(_caller, _tag, _pool, _opcode, _payload, _timeout_ns, _flags), do: missing()

  @doc "The same on a dirty scheduler, for payloads above 256 KiB."
  @spec job_run_large(caller, tag, non_neg_integer, non_neg_integer, binary, timeout_ns, flags) ::
          {:done, outcome, binary | nil, non_neg_integer, non_neg_integer} | :pending | refusal
  def job_run_large(_caller, _tag, _pool, _opcode, _payload, _timeout_ns, _flags), do: missing()

  @doc """
  Ends a pending job as cancelled; its message comes as for any end. `:not_found` when it has ended or is being sent
  at this very moment.
  """
  @spec job_cancel(caller, tag) :: :ok | :not_found | refusal
  def job_cancel(_caller, _tag), do: missing()

  @doc """
  Makes a batch of `count` jobs of one opcode, of which at most `window` are under way at once. Nothing is sent yet.
  """
  @spec batch_begin(
          caller,
          tag,
          pool :: non_neg_integer,
          opcode :: non_neg_integer,
          count :: pos_integer,
          window :: pos_integer,
          timeout_ns,
          flags
        ) :: {:ok, batch} | refusal
  def batch_begin(_caller, _tag, _pool, _opcode, _count, _window, _timeout_ns, _flags),
    do: missing()

  @doc """
  Submits the first payloads of the list (at most 64, and 256 KiB) and takes a turn. Returns the payloads that remain,
  what has ended, and how many jobs of the batch have not been handed out. Call it again with the rest, also when the
  rest is empty, until nothing is left:

    * `:ok`: call again at once;
    * `:pending`: wait for one message `{tag, :items, items, left}` first;
    * `:large`: the next payload needs `batch_run_large/2`.
  """
  @spec batch_run(batch, [binary]) ::
          {:ok | :pending | :large, rest :: [binary], [item], left :: non_neg_integer} | refusal
  def batch_run(_batch, _payloads), do: missing()

  @doc "The same on a dirty scheduler, for up to 8 MiB at once."
  @spec batch_run_large(batch, [binary]) ::
          {:ok | :pending, rest :: [binary], [item], left :: non_neg_integer} | refusal
  def batch_run_large(_batch, _payloads), do: missing()

  @doc "Cancels up to 64 jobs of the batch that were submitted; `:more` asks for another call."
  @spec batch_cancel(batch) :: :ok | :more | refusal
  def batch_cancel(_batch), do: missing()
  # --- Passing descriptors ---

  @doc "A socket pair for passing descriptors: the manager's end sends, the worker's or peer's end receives."
  @spec passing_pair :: {:ok, sender :: descriptor, receiver :: descriptor} | refusal
  def passing_pair, do: missing()

  @doc "Sends 1 to 1024 bytes with up to 4 descriptors, which stay the sender's too; whole or not at all."
  @spec passing_send(descriptor, binary, [descriptor]) :: :ok | refusal
  def passing_send(_sender, _bytes, _descriptors), do: missing()

  @doc """
  Takes one message; its descriptors are owned by the calling process. `{:error, :empty, _}`: select and come again.
  """
  @spec passing_receive(descriptor) :: {:ok, binary, [descriptor]} | refusal
  def passing_receive(_receiver), do: missing()

  # --- Memory by name, and futexes ---

  @typedoc "A mapping of shared memory."
  @opaque memory :: reference

  @doc """
  Makes shared memory `"/weir-..."` (mode 0600) of a multiple of 4096 bytes up to 8 MiB and maps it. The name goes with
  `shm_unlink/1` or with the memory.
  """
  @spec shm_create(binary, pos_integer) :: {:ok, memory} | refusal
  def shm_create(_name, _bytes), do: missing()

  @doc "Opens shared memory of exactly that length for reading or for both."
  @spec shm_open(binary, pos_integer, :read | :write) :: {:ok, memory} | refusal
  def shm_open(_name, _bytes, _mode), do: missing()

  @doc "Removes the name of memory that this resource made; mappings stay."
  @spec shm_unlink(memory) :: :ok | refusal
  def shm_unlink(_memory), do: missing()

  @doc "`bytes`, `writable`, and whether somebody `truncated` it."
  @spec memory_info(memory) :: map | refusal
  def memory_info(_memory), do: missing()

  @doc "Copies up to 256 KiB out."
  @spec memory_read(memory, non_neg_integer, non_neg_integer) :: {:ok, binary} | refusal
  def memory_read(_memory, _offset, _bytes), do: missing()

  @doc "Copies up to 256 KiB in."
  @spec memory_write(memory, non_neg_integer, binary) :: :ok | refusal
  def memory_write(_memory, _offset, _bytes), do: missing()

  @doc "Unmaps the memory; once."
  @spec memory_close(memory) :: :ok | refusal
  def memory_close(_memory), do: missing()

  @doc """
  Sleeps while the 32-bit word at `offset` is `expected`, 1000 microseconds at most. `:woken` may come for no reason.
  """
  @spec futex_wait(memory, non_neg_integer, 0..0xFFFFFFFF, 0..1000) ::
          :woken | :changed | :timeout | refusal
  def futex_wait(_memory, _offset, _expected, _timeout_us), do: missing()

  @doc "The same on a dirty scheduler, 1000 milliseconds at most."
  @spec futex_wait_long(memory, non_neg_integer, 0..0xFFFFFFFF, 0..1000) ::
          :woken | :changed | :timeout | refusal
  def futex_wait_long(_memory, _offset, _expected, _timeout_ms), do: missing()

  @doc "Wakes up to 1024 sleepers; says how many."
  @spec futex_wake(memory, non_neg_integer, 1..1024) :: {:ok, non_neg_integer} | refusal
  def futex_wake(_memory, _offset, _count), do: missing()

  # --- Arenas, rings and slots ---

  @typedoc "One side of an incarnation's memory."
  @opaque arena :: reference

  @typedoc "What the other side needs to attach, besides the descriptors."
  @type welcome :: %{
          generation: pos_integer,
          backing: 0..1,
          capabilities: non_neg_integer,
          manager_bytes: pos_integer,
          worker_bytes: pos_integer,
          manager_name: binary,
          worker_name: binary
        }

  @doc """
  Makes an arena as its manager. Options, all of them optional: `ring_capacity`, `request_classes` and
  `response_classes` (`[{slot_bytes, slot_count}]`), `backing` (0 memfd, 1 shm), `capabilities` (bits).
  """
  @spec arena_create(map, generation :: pos_integer) :: {:ok, arena} | refusal
  def arena_create(_options, _generation), do: missing()

  @doc "What `arena_attach/3` needs on the other side."
  @spec arena_welcome(arena) :: welcome | refusal
  def arena_welcome(_arena), do: missing()

  @doc "Both memory objects as descriptors to pass, before `arena_seal/1`."
  @spec arena_descriptors(arena) :: {:ok, [descriptor]} | refusal
  def arena_descriptors(_arena), do: missing()

  @doc """
  Maps an arena as its worker or peer, from two descriptors (or none where `welcome` has names). Everything in it is
  checked; the descriptors stay the caller's.
  """
  @spec arena_attach(welcome, [descriptor], :worker | :peer) :: {:ok, arena} | refusal
  def arena_attach(_welcome, _descriptors, _side), do: missing()

  @doc "Manager: nobody can map the other side's memory writable from here on."
  @spec arena_seal(arena) :: :ok | refusal
  def arena_seal(_arena), do: missing()

  @doc "Gives the arena duplicates of the eventfds with which it wakes the other side and is woken; once."
  @spec arena_wake_with(arena, wakes_other :: descriptor, wakes_this :: descriptor) ::
          :ok | refusal
  def arena_wake_with(_arena, _wakes_other, _wakes_this), do: missing()

  @doc "Side, sizes, counts, and the `room` for publishing."
  @spec arena_info(arena) :: map | refusal
  def arena_info(_arena), do: missing()

  @doc "Unmaps the arena and closes what it holds; once."
  @spec arena_close(arena) :: :ok | refusal
  def arena_close(_arena), do: missing()

  @doc """
  Publishes up to 64 envelopes of 64 bytes; sequence and header checksum are filled in. Says how many found room. A slot
  that an envelope names must be taken and not published before; it is the reader's from now on.
  """
  @spec ring_publish(arena, [binary]) :: {:ok, 0..64} | refusal
  def ring_publish(_arena, _envelopes), do: missing()

  @doc """
  Takes up to `most` envelopes, each copied once and checked. The payload slots that they name are held until
  `slot_release/2`. After `{:error, :protocol, _}` nothing of the other side is believed.
  """
  @spec ring_drain(arena, 1..64) :: {:ok, [binary], :more | :done} | refusal
  def ring_drain(_arena, _most), do: missing()

  @doc "Announces a sleep: `{:weir_ready, arena}` comes when the other side has published; `:busy` if it already has."
  @spec ring_park(arena) :: :parked | :busy | refusal
  def ring_park(_arena), do: missing()

  @doc "Takes an own payload slot of at least `bytes`."
  @spec slot_take(arena, pos_integer) ::
          {:ok, number :: non_neg_integer, offset :: non_neg_integer, bytes :: pos_integer}
          | :full
          | refusal
  def slot_take(_arena, _bytes), do: missing()

  @doc "Writes up to 256 KiB into an own slot that is not published yet."
  @spec slot_write(arena, number :: non_neg_integer, at :: non_neg_integer, binary) ::
          :ok | refusal
  def slot_write(_arena, _number, _at, _bytes), do: missing()

  @doc "Gives back an own slot that was not published."
  @spec slot_put_back(arena, number :: non_neg_integer) :: :ok | refusal
  def slot_put_back(_arena, _number), do: missing()

  @doc "Copies up to 256 KiB out of a held slot of the other side, from the offset that its envelope named."
  @spec slot_read(arena, offset :: non_neg_integer, non_neg_integer) :: {:ok, binary} | refusal
  def slot_read(_arena, _offset, _bytes), do: missing()

  @doc "Gives back up to 64 held slots by their offsets; all or none."
  @spec slot_release(arena, [offset :: non_neg_integer]) :: :ok | refusal
  def slot_release(_arena, _offsets), do: missing()

  # --- The manager's end of a handshake ---

  @typedoc "A socket that workers connect to."
  @opaque listener :: reference
  @typedoc "One worker's connection."
  @opaque handshake :: reference

  @doc "Listens at `directory/name`; the directory is this user's alone (0700)."
  @spec listener_open(binary, binary) :: {:ok, listener} | refusal
  def listener_open(_directory, _name), do: missing()

  @doc """
  Accepts a worker for an arena of this side and two eventfds (that wakes the worker, that wakes the manager). Options:
  `token` (64 hexadecimal digits), `role`, `correlation`, `timeout_ms`. `:pending`: `{:weir_ready, listener}` comes.
  """
  @spec listener_accept(listener, arena, {descriptor, descriptor}, map) ::
          {:ok, handshake} | :pending | refusal
  def listener_accept(_listener, _arena, _eventfds, _options), do: missing()

  @doc "Closes and unlinks the socket; once."
  @spec listener_close(listener) :: :ok | refusal
  def listener_close(_listener), do: missing()

  @doc """
  Goes on with what has arrived. `:pending`: `{:weir_ready, handshake}` comes. After `{:ok, worker}` seal the arena. A
  refusal has been sent to the worker where possible, and ends the handshake.
  """
  @spec handshake_step(handshake) :: {:ok, map} | :pending | refusal
  def handshake_step(_handshake), do: missing()

  @doc "Whether the worker still holds its end; if so, `{:weir_ready, handshake}` comes when it has let go."
  @spec handshake_alive(handshake) :: boolean
  def handshake_alive(_handshake), do: missing()

  @doc "Closes the connection, which the worker takes for the manager's end; once."
  @spec handshake_close(handshake) :: :ok | refusal
  def handshake_close(_handshake), do: missing()

  # --- Envelopes, checksums and layouts ---

  @doc "64 bytes for the ring position `index`; fields that the map has not are 0."
  @spec envelope_encode(map, index :: non_neg_integer) :: binary
  def envelope_encode(_fields, _index), do: missing()

  @doc "The fields of 64 bytes, none of them believed."
  @spec envelope_decode(binary) :: map
  def envelope_decode(_bytes), do: missing()

  @doc "Checks 64 bytes against `terms` (`generation`, `version`, `capabilities`); `{:bad, reason}` is the first reason."
  @spec envelope_check(binary, index :: non_neg_integer, :request | :response, map) ::
          {:ok, map} | {:bad, atom}
  def envelope_check(_bytes, _index, _kind, _terms), do: missing()

  @doc "CRC32C of up to 256 KiB."
  @spec crc32c(binary) :: 0..0xFFFFFFFF
  def crc32c(_bytes), do: missing()

  @doc "CRC32C of any binary, on a dirty scheduler."
  @spec crc32c_large(binary) :: 0..0xFFFFFFFF
  def crc32c_large(_bytes), do: missing()

  @doc """
  Loads a layout from TOML (256 KiB at most): `name`, `version`, `digest`, `constants`, `enums` and `structs` with the
  offsets that the loader derived. Names are binaries. A refusal says file, line and column.
  """
  @spec layout_load(binary, file_name :: binary) :: {:ok, map} | refusal
  def layout_load(_text, _file_name), do: missing()

  @doc "The layout that the library was compiled with."
  @spec layout_load_builtin :: {:ok, map} | refusal
  def layout_load_builtin, do: missing()

  @doc "Compares two layout texts: the relation, and the difference to tell first (empty when there is none)."
  @spec layout_diff(old :: binary, new :: binary) ::
          {:ok, :identical | :compatible | :breaking, binary} | refusal
  def layout_diff(_old, _new), do: missing()

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

  # --- Status pages ---

  @doc """
  The managers of a runtime directory (`nil`: the default), with the directory's path: their `id` is what
  `status_read/2` takes, `status` says why a page cannot be read. Needs no manager's help.
  """
  @spec status_list(binary | nil) :: {:ok, {binary, [map]}} | refusal
  def status_list(_directory), do: missing()

  @doc """
  A picture of one manager, which may be busy, stopped or dead: `life`, `manager`, `seats`, `events`, `links`, each
  with `torn` when it was just being written. Times are nanoseconds of CLOCK_MONOTONIC; `read_ns` is now.
  """
  @spec status_read(binary | nil, binary) :: {:ok, map} | refusal
  def status_read(_directory, _id), do: missing()

  # --- Disturbances ---

  @doc "From now on every n-th wake by futex, of any manager of this VM, is not made; 0 ends that."
  @spec drop_wakes(non_neg_integer) :: :ok
  def drop_wakes(_every), do: missing()

  @doc "How many wakes were not made so far."
  @spec dropped_wakes :: non_neg_integer
  def dropped_wakes, do: missing()

  defp missing do
    :erlang.nif_error("weir_nif.so is not loaded; run mix compile, which builds and installs it")
  end
end
