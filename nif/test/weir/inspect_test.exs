defmodule Weir.InspectTest do
  use ExUnit.Case, async: true

  import Weir.TestSupport, only: [eventually: 2]

  alias Weir.Inspect
  alias Weir.Inspect.Table
  alias Weir.Native

  setup do
    dir = Path.join(System.tmp_dir!(), "weir-inspect-#{System.unique_integer([:positive])}")
    File.mkdir!(dir)
    File.chmod!(dir, 0o700)
    on_exit(fn -> File.rm_rf!(dir) end)
    %{dir: dir}
  end

  defp start_manager(dir, name, pools) do
    {:ok, manager} = Native.manager_create(%{name: name, runtime_directory: dir})
    :ok = Native.manager_adopt(manager, self())
    for pool <- pools, do: {:ok, _id} = Native.manager_add_pool(manager, pool)
    {_jobs, _more, _long, _outstanding, _wait} = Native.turn_long(manager)

    on_exit(fn -> Native.close(manager) end)
    manager
  end

  test "finds a manager of this very node, with its seats and its kind", %{dir: dir} do
    start_manager(dir, "MyApp.Weir", [
      %{role: "maps", command: [Weir.TestSupport.program("weir-loopback")], worker_count: 2}
    ])

    {:ok, snapshot} = Inspect.snapshot(dir: dir)
    assert snapshot.directory == dir
    assert [manager] = snapshot.managers
    assert manager.name == "MyApp.Weir"
    assert manager.kind == :beam
    assert manager.life == :running
    assert to_string(manager.pid) == System.pid()
    assert [%{role: "maps", seat: 0}, %{role: "maps", seat: 1}] = manager.workers
    assert manager.links == []
    refute manager.torn
  end

  test "leaves out managers of another name", %{dir: dir} do
    start_manager(dir, "one", [])
    assert {:ok, %{managers: []}} = Inspect.snapshot(dir: dir, name: "two")
    assert {:ok, %{managers: [%{name: "one"}]}} = Inspect.snapshot(dir: dir, name: "one")
  end

  test "says what to do when nothing runs", %{dir: dir} do
    {:ok, snapshot} = Inspect.snapshot(dir: dir)
    sentence = Inspect.nothing(snapshot)
    assert sentence =~ "No manager runs in #{dir}"
    assert sentence =~ "weir run"
    assert sentence =~ "supervision tree"
    assert Inspect.nothing(snapshot, name: "garden") =~ "No manager named garden"
  end

  test "takes a directory that does not exist for an empty one", %{dir: dir} do
    assert {:ok, %{managers: []}} = Inspect.snapshot(dir: dir <> "-never-made")
    refute File.exists?(dir <> "-never-made")
  end

  test "refuses a directory into which others can reach", %{dir: dir} do
    File.chmod!(dir, 0o755)
    assert {:error, :invalid, sentence} = Inspect.snapshot(dir: dir)
    assert sentence =~ "chmod 700"
  end

  test "shows a damaged page as such", %{dir: dir} do
    private = Path.join(dir, "m-1-00000000")
    File.mkdir!(private)
    File.write!(Path.join(private, "status"), "far too short")
    {:ok, snapshot} = Inspect.snapshot(dir: dir)
    assert [%{error: error, life: :dead, workers: []}] = snapshot.managers
    assert error =~ "bytes long instead of 524288"
    assert Inspect.render(snapshot) =~ "its status page cannot be read"
  end

  test "is told of no manager whose page is gone again", %{dir: dir} do
    File.mkdir!(Path.join(dir, "m-1-00000000"))
    assert {:ok, %{managers: []}} = Inspect.snapshot(dir: dir)
  end

  describe "the functions of the NIF" do
    test "raise for wrong types" do
      for bad <- [1, :name, [], ~c"dir", %{}, "with\0zero", String.duplicate("x", 300)] do
        assert_raise ArgumentError, fn -> Native.status_list(bad) end
        assert_raise ArgumentError, fn -> Native.status_read(bad, "m-1-0") end
        assert_raise ArgumentError, fn -> Native.status_read(nil, bad) end
      end
    end

    test "lead nowhere but into private directories" do
      for bad <- ["", "m", "lock", "../m-1-0", "m-1/../../etc", "m-../x"] do
        assert_raise ArgumentError, fn -> Native.status_read(nil, bad) end
      end
    end

    test "name what is not there", %{dir: dir} do
      assert {:error, :not_found, sentence} = Native.status_read(dir, "m-1-0")
      assert sentence =~ "gone"
    end
  end

  describe "the table" do
    defp worker(changes \\ %{}) do
      Map.merge(
        %{
          role: "maps",
          seat: 0,
          state: :ready,
          pid: 4711,
          language: "c",
          generation: 1,
          beat_count: 12,
          beat_age_ms: 300,
          request_fill: 3,
          ring_capacity: 256,
          response_fill: 0,
          request_slots: 8,
          request_slots_taken: 8,
          response_slots_held: 0,
          in_flight: 3,
          in_flight_max: 256,
          jobs_ok: 1000,
          jobs_failed: 1,
          errors: 0,
          restarts: 0,
          wake_strategy: :futex,
          cpu_ms: 61_000,
          torn: false,
          flags: [],
          process_state: "S",
          distrust_reason: :none,
          busy_ms: nil,
          starts_in_ms: nil
        },
        changes
      )
    end

    defp picture(workers, changes \\ %{}) do
      totals =
        Map.new(
          ~w(submitted sent resent deferred deferred_now in_flight stray_replies protocol_errors restarts
             slots_taken held_bytes)a,
          &{&1, 0}
        )

      manager =
        Map.merge(
          %{
            id: "m-1-0",
            name: "garden",
            kind: :c,
            pid: 1,
            life: :running,
            flags: [],
            torn: false,
            error: nil,
            layout: "1.1",
            wake_strategy: :futex,
            cpu_ms: 0,
            up_ms: 3_600_000,
            updated_ms_ago: 40,
            hidden_seats: 0,
            totals: %{totals | submitted: 1_234_567},
            outcomes: %{ok: 1_234_000, failed: 67, timeout: 0},
            workers: workers,
            links: [],
            events: []
          },
          changes
        )

      %{directory: "/run", node: node(), taken_at: "", managers: [manager]}
    end

    defp lines(snapshot, options \\ []),
      do: snapshot |> Inspect.render(options) |> String.split("\n")

    test "aligns numbers to the right and texts to the left" do
      workers = [worker(), worker(%{seat: 11, role: "analytics", jobs_ok: 7})]
      rows = picture(workers) |> lines() |> Enum.filter(&(&1 =~ ~r/POOL|maps|analytics/))
      assert [title, maps, analytics] = rows

      for {name, first, second} <- [{" OK", "1000", "   7"}, {"SEAT", "   0", "  11"}] do
        {at, length} = :binary.match(title, name)
        last = at + length
        assert String.slice(maps, (last - 4)..(last - 1)) == first
        assert String.slice(analytics, (last - 4)..(last - 1)) == second
      end

      {at, _} = :binary.match(title, "POOL")
      assert String.slice(maps, at, 9) == "maps     "
    end

    test "draws fill levels as bars that are never empty or full by rounding" do
      [row] = picture([worker()]) |> lines() |> Enum.filter(&(&1 =~ "maps"))
      assert row =~ "  #.......  3/256  ........   0/256  ########  8/8  "
      [row] = picture([worker(%{request_fill: 255})]) |> lines() |> Enum.filter(&(&1 =~ "maps"))
      assert row =~ "#######.  255/256"
    end

    test "sorts by each key, numbers largest first" do
      workers = [
        worker(%{seat: 0, restarts: 1, beat_age_ms: 5, role: "b"}),
        worker(%{seat: 1, restarts: 9, beat_age_ms: nil, role: "a"}),
        worker(%{seat: 2, restarts: 3, beat_age_ms: 900, role: "c"})
      ]

      seats = fn key ->
        for line <- lines(picture(workers), sort: key),
            [_, seat] <- [Regex.run(~r/^  [abc] +(\d)  ready/, line)] do
          String.to_integer(seat)
        end
      end

      assert seats.(nil) == [0, 1, 2]
      assert seats.("restarts") == [1, 2, 0]
      assert seats.("age") == [1, 2, 0]
      assert seats.("pool") == [1, 0, 2]
      for key <- Inspect.sort_keys(), do: assert(Enum.sort(seats.(key)) == [0, 1, 2])
      assert_raise ArgumentError, ~r/unknown sort key/, fn -> seats.("nonsense") end
    end

    test "marks what is torn, stopped, distrusted or waiting" do
      text =
        picture(
          [
            worker(%{torn: true}),
            worker(%{process_state: "T"}),
            worker(%{distrust_reason: :header_crc, flags: [:distrusted]}),
            worker(%{state: :empty, pid: 0, generation: 0, starts_in_ms: 2500})
          ],
          %{torn: true, life: :stopped, flags: [:closed]}
        )
        |> Inspect.render()

      assert text =~ "TORN"
      assert text =~ "stopped, closed"
      assert text =~ ~r/  torn$/m
      assert text =~ ~r/  stopped$/m
      assert text =~ "broke the protocol: header crc"
      assert text =~ "starts in 2.5s"
    end

    test "shows counts that are not zero, grouped" do
      [_, jobs | _] = lines(picture([]))
      assert jobs == "  submitted 1,234,567  ok 1,234,000  in flight 0  failed 67"
    end

    test "shows recent errors, or all events, or none" do
      event = %{
        number: 1,
        age_ms: 65_000,
        role: "maps",
        seat: 3,
        generation: 2,
        pid: 9,
        torn: false
      }

      events = [
        Map.merge(event, %{kind: "ready", text: "pid 9 speaks c"}),
        Map.merge(event, %{kind: "silent", text: "no heartbeat; pid 9 is killed"})
      ]

      snapshot = picture([worker()], %{events: events})
      assert Inspect.render(snapshot) =~ ~r/1m05s  silent  maps +3 +2 +9  no heartbeat/
      refute Inspect.render(snapshot) =~ "speaks c"
      assert Inspect.render(snapshot, events: :all) =~ "speaks c"
      refute Inspect.render(snapshot, events: :none) =~ "no heartbeat"
      assert Inspect.render(picture([worker()])) =~ "Recent errors: none"
      refute Inspect.render(snapshot, events: :all, rows: 1) =~ "speaks c"
    end

    test "shows links between workers" do
      link = %{
        from_pool: 0,
        from_seat: 1,
        from_generation: 2,
        to_pool: 0,
        to_seat: 3,
        to_generation: 4
      }

      links = [Map.merge(link, %{exchanges: 5, bytes: 600})]

      assert Inspect.render(picture([worker()], %{links: links})) =~
               ~r{0/1 gen 2  0/3 gen 4 +5 +600}

      assert Inspect.render(picture([worker()])) =~ "Links between workers: none"
    end

    test "writes durations for people" do
      cases = [
        {0, "0.0s"},
        {340, "0.3s"},
        {59_999, "59.9s"},
        {60_000, "1m00s"},
        {7_500_000, "2h05m"}
      ]

      for {ms, text} <- cases, do: assert(Table.duration(ms) == text)
      assert Table.duration(4 * 86_400_000 + 3 * 3_600_000) == "4d03h"
    end
  end

  test "a manager that came and went is no longer shown", %{dir: dir} do
    manager = start_manager(dir, "guest", [])
    assert {:ok, %{managers: [_]}} = Inspect.snapshot(dir: dir)
    Native.close(manager)

    eventually(
      fn -> match?({:ok, %{managers: []}}, Inspect.snapshot(dir: dir)) end,
      "the page is gone"
    )
  end
end
