defmodule Weir.TestSupport.NativeCalls do
  @moduledoc """
  What each function of `Weir.Native` takes: the table behind the misuse tests.

  An argument is described by a kind. `valid/2` gives a value that the function accepts, from the resources that
  `resources/1` makes; `wrong/2` gives values that it must refuse with `badarg`.
  """

  alias Weir.Native

  @u16 {:integer, 0, 0xFFFF}
  @u32 {:integer, 0, 0xFFFFFFFF}
  @u64 {:integer, 0, 0xFFFFFFFFFFFFFFFF}
  @copy {:binary, 0, 256 * 1024}
  @timeout {:either, [{:integer, 0, 1_000_000_000}, {:atoms, [:infinity]}]}
  @job [:caller, :tag, {:integer, 0, 63}, @u16, {:binary, 0, :any}, @timeout, {:integer, 0, 7}]
  @reply [:worker, {:atoms, [:ok, :failed, :oversize, :no_slot]}, {:binary, 0, :any}]

  @calls [
    version: [],
    trace: [],
    trace_clear: [],
    resources: [],
    call_times: [],
    drop_wakes: [@u32],
    dropped_wakes: [],
    status_list: [{:either, [:directory, {:atoms, [nil]}, {:free_text, "", 4096}]}],
    status_read: [
      {:either, [:directory, {:atoms, [nil]}, {:free_text, "", 4096}]},
      {:text, "m-1"}
    ],
    eventfd_create: [],
    eventfd_ring: [:eventfd],
    eventfd_drain: [:eventfd],
    descriptor_select: [:descriptor],
    descriptor_close: [:descriptor],
    descriptor_is_open: [:descriptor],
    passing_pair: [],
    passing_send: [:sender, {:binary, 1, 1024}, {:list, :descriptor, 4}],
    passing_receive: [:receiver],
    shm_create: [{:text, "/weir-test-misuse"}, {:integer, 4096, 8 * 1024 * 1024}],
    shm_open: [
      {:text, "/weir-test-misuse"},
      {:integer, 4096, 8 * 1024 * 1024},
      {:atoms, [:read, :write]}
    ],
    shm_unlink: [:memory],
    memory_info: [:memory],
    memory_read: [:memory, {:integer, 0, 4096}, {:integer, 0, 4096}],
    memory_write: [:memory, {:integer, 0, 4096}, @copy],
    memory_close: [:memory],
    futex_wait: [:memory, {:integer, 0, 4092}, @u32, {:integer, 0, 1000}],
    futex_wait_long: [:memory, {:integer, 0, 4092}, @u32, {:integer, 0, 1000}],
    futex_wake: [:memory, {:integer, 0, 4092}, {:integer, 1, 1024}],
    arena_create: [{:map, &__MODULE__.arena_options/0}, {:integer, 1, 0xFFFFFFFF}],
    arena_welcome: [:arena],
    arena_descriptors: [:arena],
    arena_attach: [:welcome, {:list, :descriptor, 2}, {:atoms, [:worker, :peer]}],
    arena_seal: [:arena],
    arena_wake_with: [:arena, :descriptor, :descriptor],
    arena_info: [:arena],
    arena_close: [:arena],
    ring_publish: [:arena, {:list, {:binary, 64, 64}, 64}],
    ring_drain: [:arena, {:integer, 1, 64}],
    ring_park: [:arena],
    slot_take: [:arena, {:integer, 1, 0xFFFFFFFF}],
    slot_write: [:arena, :slot, {:integer, 0, 256}, @copy],
    slot_put_back: [:arena, :slot],
    slot_read: [:arena, :no_slot, {:integer, 0, 0}],
    slot_release: [:arena, {:list, :no_slot, 64}],
    listener_open: [{:free_text, "/nowhere", 1024}, {:text, "socket"}],
    listener_accept: [:listener, :arena, {:pair, :descriptor}, :accept_options],
    listener_close: [:listener],
    handshake_step: [:handshake],
    handshake_alive: [:handshake],
    handshake_close: [:handshake],
    envelope_encode: [{:map, &__MODULE__.envelope_fields/0}, @u64],
    envelope_decode: [{:binary, 64, 64}],
    envelope_check: [
      {:binary, 64, 64},
      @u64,
      {:atoms, [:request, :response]},
      {:map, &__MODULE__.envelope_terms/0}
    ],
    crc32c: [@copy],
    crc32c_large: [{:binary, 0, :any}],
    layout_load: [@copy, {:free_text, "layout.toml", 256}],
    layout_load_builtin: [],
    layout_diff: [@copy, @copy],
    worker_connect: [:connect_options],
    worker_handshake: [:worker],
    worker_control: [:worker],
    worker_close: [:worker],
    worker_next: [:worker],
    worker_next_large: [:worker],
    worker_reply: @reply,
    worker_reply_large: @reply,
    worker_park: [:worker],
    worker_beat: [:worker],
    worker_progress: [:worker],
    worker_drain: [:worker],
    worker_stats: [:worker],
    manager_create: [{:map, &__MODULE__.manager_options/0}],
    manager_add_pool: [:manager, :pool_options],
    manager_adopt: [:manager, :pid],
    start_worker: [:manager, @u32, @u32],
    start_failed: [:manager, @u32, @u32, @u32, {:free_text, "it did not start", 512}],
    drain_begin: [:manager],
    is_drained: [:manager],
    reload: [:manager, @u32],
    manager_close: [:manager],
    stats: [:manager],
    workers: [:manager],
    turn: [:manager],
    turn_long: [:manager],
    park: [:manager],
    caller_open: [:manager],
    job_run: @job,
    job_run_large: @job,
    job_cancel: [:caller, :tag],
    batch_begin: [
      :caller,
      :tag,
      {:integer, 0, 63},
      @u16,
      {:integer, 1, 1_000_000},
      {:integer, 1, 1_000_000},
      @timeout,
      {:integer, 0, 3}
    ],
    batch_run: [:batch, :payloads],
    batch_run_large: [:batch, :payloads],
    batch_cancel: [:batch]
  ]

  # Keys that a map may lack.
  @optional [:role, :timeout_ms, :worker_count]

  @doc "Every function with the kinds of its arguments."
  @spec calls() :: keyword([term])
  def calls, do: @calls

  @doc false
  def arena_options do
    for {key, values} <- [
          ring_capacity: [:a, -1, 1.0],
          backing: [:memfd, -1],
          capabilities: [8, -1, "1"],
          request_classes: [:a, [1], [{1}], [{-1, 1}], [{64, 1} | :a], List.duplicate({64, 1}, 9)],
          response_classes: [%{}, [{64, :a}], [{64, 1, 1}]]
        ],
        value <- values,
        do: %{key => value}
  end

  @doc false
  def envelope_fields do
    for key <- ~w(version flags opcode status generation job_id payload_bytes deadline_ns)a,
        value <- [-1, 1.0, :a, "1", 1_000_000_000_000_000_000_000],
        do: %{key => value}
  end

  @doc false
  def envelope_terms do
    for key <- ~w(generation version capabilities)a,
        value <- [-1, :a, 0x1_0000_0000],
        do: %{key => value}
  end

  @doc false
  def manager_options do
    for key <- ~w(job_capacity seed)a, value <- [-1, 1.0, :a, "1"], do: %{key => value}
  end

  @doc """
  One resource of each kind, and the values that go with them. The process that calls it owns them all.
  """
  @spec resources(Path.t()) :: map
  def resources(directory) do
    token = String.duplicate("0a", 32)
    {:ok, eventfd} = Native.eventfd_create()
    {:ok, other} = Native.eventfd_create()
    {:ok, sender, receiver} = Native.passing_pair()
    {:ok, memory} = Native.shm_create("/weir-test-#{System.unique_integer([:positive])}", 4096)
    {:ok, arena} = Native.arena_create(small_arena(), 1)
    {:ok, slot, _, _} = Native.slot_take(arena, 1)
    {:ok, listener} = Native.listener_open(directory, "s#{System.unique_integer([:positive])}")
    [name] = for "s" <> _ = name <- File.ls!(directory), do: name
    connect = %{socket: Path.join(directory, name), token: token, opcodes: [1, 2]}
    {:ok, worker} = Native.worker_connect(connect)
    accept = %{token: token}
    {:ok, handshake} = Native.listener_accept(listener, arena, {eventfd, other}, accept)
    {:ok, manager} = Native.manager_create(%{runtime_directory: Path.join(directory, "runtime")})
    {:ok, 0} = Native.manager_add_pool(manager, pool())
    {:ok, caller} = Native.caller_open(manager)
    {:ok, batch} = Native.batch_begin(caller, :batch, 0, 1, 4, 4, :infinity, 0)

    %{
      eventfd: eventfd,
      descriptor: other,
      sender: sender,
      receiver: receiver,
      memory: memory,
      arena: arena,
      slot: slot,
      no_slot: 0,
      listener: listener,
      handshake: handshake,
      worker: worker,
      manager: manager,
      caller: caller,
      batch: batch,
      welcome: Native.arena_welcome(arena),
      accept_options: accept,
      connect_options: connect,
      pool_options: pool(),
      pid: self(),
      tag: make_ref(),
      directory: directory
    }
  end

  @doc "Ends what would otherwise outlive the test by a while."
  @spec close(map) :: :ok
  def close(resources) do
    Native.manager_close(resources.manager)

    for key <- [:worker, :handshake, :listener, :arena, :memory],
        do: close_one(key, resources[key])

    :ok
  end

  defp close_one(:worker, worker), do: Native.worker_close(worker)
  defp close_one(:handshake, handshake), do: Native.handshake_close(handshake)
  defp close_one(:listener, listener), do: Native.listener_close(listener)
  defp close_one(:arena, arena), do: Native.arena_close(arena)
  defp close_one(:memory, memory), do: Native.memory_close(memory)

  defp pool, do: %{role: "echo", command: ["/bin/false"], worker_count: 1}

  @doc "An arena that is made in no time."
  @spec small_arena() :: map
  def small_arena do
    %{
      ring_capacity: 8,
      request_classes: [{256, 8}, {4096, 2}],
      response_classes: [{256, 8}, {4096, 2}]
    }
  end

  @doc "A value of the kind."
  @spec valid(term, map) :: term
  def valid({:integer, least, _}, _), do: least
  def valid({:binary, least, _}, _), do: :binary.copy("x", least)
  def valid({:text, text}, _), do: text
  def valid({:free_text, text, _}, _), do: text
  def valid(:payloads, _), do: []
  def valid({:atoms, [atom | _]}, _), do: atom
  def valid({:either, [kind | _]}, resources), do: valid(kind, resources)
  def valid({:list, :descriptor, 2}, resources), do: [resources.eventfd, resources.descriptor]
  def valid({:list, _, _}, _), do: []
  def valid({:pair, kind}, resources), do: {valid(kind, resources), valid(kind, resources)}
  def valid({:map, _}, _), do: %{}
  def valid(key, resources) when is_atom(key), do: Map.fetch!(resources, key)

  @doc "Values that are not of the kind."
  @spec wrong(term, map) :: [term]
  def wrong(kind, resources) do
    pool = strangers() ++ special(kind, resources)
    Enum.reject(pool, &fits?(kind, &1))
  end

  defp strangers do
    [
      :weir_no_such_name,
      nil,
      -1,
      1.5,
      0x1_0000_0000_0000_0000,
      -0x1_0000_0000_0000_0000_0000,
      "",
      "a\0b",
      <<1::size(3)>>,
      :binary.copy("x", 256 * 1024 + 1),
      [],
      [1 | 2],
      [:a],
      %{},
      %{"a" => 1},
      {},
      {1, 2},
      self(),
      make_ref(),
      hd(Port.list()),
      fn -> :ok end
    ]
  end

  # Another resource, and what is nearly right.
  defp special({:integer, least, most}, _), do: [least - 1, most + 1, least / 1]
  defp special({:binary, least, :any}, _), do: [List.duplicate(?x, least)]

  defp special({:binary, least, most}, _),
    do: [
      :binary.copy("x", most + 1) | if(least > 0, do: [:binary.copy("x", least - 1)], else: [])
    ]

  defp special({:list, kind, most}, resources) do
    element = if kind == :no_slot, do: 0, else: valid(kind, resources)
    too_many = if most == :any, do: [], else: [List.duplicate(element, most + 1)]
    [[element | :tail], [1.5], [element, 1.5] | too_many]
  end

  defp special({:map, wrongs}, _), do: wrongs.()
  defp special({:pair, kind}, resources), do: [{valid(kind, resources), 1}, {1}]
  defp special(:payloads, _), do: [[1], [["a"]]]
  defp special({:free_text, _, size}, _), do: [:binary.copy("x", size), 'chars']
  defp special({:text, _}, _), do: [:binary.copy("x", 2000), 'chars']

  defp special(:welcome, %{welcome: welcome}),
    do: broken(welcome, generation: [0, :a], backing: [2], manager_bytes: [-1], worker_name: [1])

  defp special(:accept_options, %{accept_options: options}),
    do: broken(options, token: ["", "zz", 1, String.duplicate("0", 63)], timeout_ms: [0, 60_001])

  defp special(:connect_options, %{connect_options: options}) do
    broken(options,
      socket: [1, :binary.copy("s", 108)],
      token: [1, :binary.copy("0", 65)],
      opcodes: [[], [0], [1, 1], [65_536], :a, [1 | 2], Enum.to_list(1..65)],
      role: [1, :binary.copy("r", 32)]
    )
  end

  defp special(:pool_options, %{pool_options: options}),
    do: broken(options, role: [1, nil], command: [1, [], [1]], worker_count: [-1, :a])

  defp special(kind, resources) when kind in [:eventfd, :sender, :receiver],
    do: [
      resources.arena | Map.values(Map.take(resources, [:eventfd, :sender, :receiver] -- [kind]))
    ]

  defp special(:arena, resources), do: [resources.eventfd, resources.memory]
  defp special(_, resources), do: [resources.arena]

  # The map with each value replaced, and with each required key left out.
  defp broken(map, values) do
    for({key, wrongs} <- values, wrong <- wrongs, do: Map.put(map, key, wrong)) ++
      for({key, _} <- values, key not in @optional, do: Map.delete(map, key))
  end

  defp fits?({:integer, least, most}, value), do: is_integer(value) and value in least..most
  defp fits?({:binary, least, :any}, value), do: is_binary(value) and byte_size(value) >= least

  defp fits?({:binary, least, most}, value),
    do: is_binary(value) and byte_size(value) in least..most

  defp fits?({:text, _}, _), do: false

  defp fits?({:free_text, _, size}, value),
    do: is_binary(value) and byte_size(value) < size and not String.contains?(value, <<0>>)

  # Payloads are read as far as a call goes; what follows is the next call's.
  defp fits?(:payloads, value), do: value == [] or (is_list(value) and is_binary(hd(value)))
  defp fits?({:atoms, atoms}, value), do: value in atoms
  defp fits?({:either, kinds}, value), do: Enum.any?(kinds, &fits?(&1, value))

  # Whether a list of things of the right kind that name nothing is right is not for this table.
  defp fits?({:list, kind, most}, list) when is_list(list),
    do:
      List.improper?(list) == false and (most == :any or length(list) <= most) and
        Enum.all?(list, &fits?(kind, &1))

  defp fits?({:map, wrongs}, value), do: is_map(value) and value not in wrongs.()

  defp fits?(:tag, value),
    do: is_atom(value) or is_integer_of_64_bits(value) or is_reference(value)

  defp fits?(:pid, value), do: is_pid(value)
  defp fits?(_, _), do: false

  defp is_integer_of_64_bits(value),
    do: is_integer(value) and value in -0x8000_0000_0000_0000..0x7FFF_FFFF_FFFF_FFFF
end
