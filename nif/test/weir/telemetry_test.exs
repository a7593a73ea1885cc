defmodule Weir.TelemetryTest do
  use ExUnit.Case

  import ExUnit.CaptureLog
  import Weir.TestSupport.Instances

  alias Weir.{Error, Telemetry}

  @jobs for event <- [:start, :stop, :exception], do: [:weir, :job, event]
  @batches for event <- [:start, :stop], do: [:weir, :batch, event]
  @workers for event <- [:start, :stop, :exception], do: [:weir, :worker, event]
  @instances for event <- [:start, :stop], do: [:weir, :instance, event]

  setup do
    on_exit(fn -> Telemetry.detach(__MODULE__) end)
    :ok
  end

  defp listen(events) do
    test = self()

    tell = fn event, measurements, metadata, :config ->
      send(test, {event, measurements, metadata})
    end

    assert Telemetry.attach(__MODULE__, events, tell, :config) == :ok
  end

  test "a job is told when it starts and how it ends", context do
    name = start!(context)
    listen(@jobs)
    {:ok, result} = Weir.run(name, {:echo, "hello"})
    metadata = %{instance: name, pool: :loopback, opcode: :echo}

    assert_received {[:weir, :job, :start], %{payload_bytes: 5} = start, ^metadata}
    assert_received {[:weir, :job, :stop], %{payload_bytes: 5} = stop, stopped}
    assert stopped == Map.put(metadata, :sent_count, 1)
    # Native units, and the caller's view: no shorter than libweir's own.
    elapsed = System.convert_time_unit(result.elapsed_ns, :nanosecond, :native)
    assert stop.duration >= elapsed
    assert stop.monotonic_time - start.monotonic_time == stop.duration

    assert_in_delta start.system_time,
                    System.system_time(),
                    System.convert_time_unit(60, :second, :native)
  end

  test "a job that does not end well is an exception", context do
    name = start!(context)
    listen(@jobs)
    {:error, %Error{} = error} = Weir.run(name, {:simulate, ""})
    assert_received {[:weir, :job, :start], _, _}
    assert_received {[:weir, :job, :exception], %{duration: _}, %{kind: :error, reason: ^error}}
    refute_received {[:weir, :job, :stop], _, _}
  end

  test "a submitted job is told when it is awaited", context do
    name = start!(context)
    listen(@jobs)
    job = Weir.submit(name, {:echo, "x"})
    assert_received {[:weir, :job, :start], _, _}
    refute_received {[:weir, :job, :stop], _, _}
    {:ok, _} = Weir.await(job)
    assert_received {[:weir, :job, :stop], _, _}
  end

  test "many at once are told as one", context do
    name = start!(context)
    listen(@jobs ++ @batches)
    Weir.run_many(name, {:echo, ["a", "bc", :binary.copy(<<0>>, 2_000_000)]})
    assert_received {[:weir, :batch, :start], %{jobs: 3, payload_bytes: 2_000_003}, _}
    assert_received {[:weir, :batch, :stop], %{jobs: 3, failed: 1}, %{opcode: :echo}}
    refute_received {[:weir, :job, _], _, _}
  end

  test "workers and instances are told", context do
    listen(@workers ++ @instances)
    name = start!(context, backoff: [first_ms: 1])
    assert_receive {[:weir, :instance, :start], %{system_time: _}, %{instance: ^name}}

    assert_receive {[:weir, :worker, :start], _,
                    %{instance: ^name, pool: :loopback, worker: 0, generation: 1, pid: pid}}

    kill(pid, "KILL")

    assert_receive {[:weir, :worker, :exception], %{duration: duration},
                    %{kind: :exit, reason: reason, pid: ^pid}},
                   10_000

    assert duration > 0
    assert reason =~ "pid #{pid} ended"
    assert_receive {[:weir, :worker, :start], _, %{generation: 2}}, 10_000
    :ok = stop_supervised({Weir, name})
    assert_receive {[:weir, :worker, :stop], _, %{generation: 2, text: _}}, 10_000
    assert_receive {[:weir, :instance, :stop], %{duration: _}, %{instance: ^name}}
  end

  test "a handler that fails is detached and harms no job", context do
    name = start!(context)
    :ok = Telemetry.attach(__MODULE__, [:weir, :job, :start], fn _, _, _, _ -> raise "oh" end)
    assert capture_log(fn -> assert {:ok, _} = Weir.run(name, {:echo, "x"}) end) =~ "was detached"
    refute Telemetry.active?()
    assert {:ok, _} = Weir.run(name, {:echo, "x"})
  end

  test "a handler's name is taken once" do
    assert Telemetry.detach(__MODULE__) == {:error, :not_found}
    assert Telemetry.attach(__MODULE__, [:weir, :job, :stop], fn _, _, _, _ -> :ok end) == :ok

    assert Telemetry.attach(__MODULE__, [:weir, :job, :start], fn _, _, _, _ -> :ok end) ==
             {:error, :already_exists}

    assert Telemetry.detach(__MODULE__) == :ok
  end

  test "where :telemetry is loaded its handlers are called", context do
    # A stand-in with the functions that are used, in the table that it keeps.
    {:module, library, _, _} =
      Module.create(
        :telemetry,
        quote do
          def execute(event, measurements, metadata) do
            for {^event, function, config} <- :persistent_term.get(__MODULE__, []) do
              function.(event, measurements, metadata, config)
            end

            :ok
          end

          def attach(_id, event, function, config),
            do: attach_many(nil, [event], function, config)

          def attach_many(_id, events, function, config) do
            handlers = for event <- events, do: {event, function, config}
            :persistent_term.put(__MODULE__, handlers ++ :persistent_term.get(__MODULE__, []))
          end

          def detach(_id), do: :persistent_term.put(__MODULE__, [])
        end,
        Macro.Env.location(__ENV__)
      )

    on_exit(fn ->
      :code.purge(library)
      :code.delete(library)
      :persistent_term.erase(library)
      :persistent_term.erase(Telemetry)
    end)

    name = start!(context)
    assert Telemetry.active?()
    test = self()

    apply(library, :attach, [
      :mine,
      [:weir, :job, :stop],
      fn _, m, _, _ -> send(test, {:mine, m}) end,
      nil
    ])

    listen([:weir, :job, :start])
    {:ok, _} = Weir.run(name, {:echo, "x"})
    assert_received {:mine, %{duration: _}}
    assert_received {[:weir, :job, :start], _, _}
  end
end
