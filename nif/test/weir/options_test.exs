defmodule Weir.OptionsTest do
  use ExUnit.Case, async: true

  alias Weir.Options

  @pool [name: :loopback, command: ["weir-loopback"]]

  defp refused(options) do
    assert_raise(ArgumentError, fn -> Options.validate!(options) end).message
  end

  defp pool_refused(more), do: refused(name: Some, pools: [Keyword.merge(@pool, more)])

  test "fills in the defaults" do
    assert %{name: Some, timeout: 5_000, drain: 5_000, pools: [pool]} =
             Options.validate!(name: Some, pools: [@pool])

    assert %{role: "loopback", workers: 1, policy: :reject, backoff: %{first_ms: 100}} = pool
    assert [program] = pool.command
    assert program == Weir.TestSupport.program("weir-loopback")
    assert %{echo: 1, analytics: 19} = pool.opcodes
  end

  test "takes a single program and an absolute path" do
    options = [name: Some, pools: [Keyword.put(@pool, :command, "/bin/true")]]
    assert %{pools: [%{command: ["/bin/true"]}]} = Options.validate!(options)
  end

  test "names an option that is missing, unknown, or there twice" do
    assert refused(name: Some) == "an instance of Weir needs the option :pools; see Weir.Options"
    assert refused(pools: [@pool]) =~ "an instance of Weir needs the option :name"

    assert refused(name: Some, pools: [@pool], size: 1) =~
             "an instance of Weir has no option :size; there are :name,"

    assert refused(name: Some, pools: [[name: :a]]) =~ "a pool needs the option :command"
    assert pool_refused(wokers: 2) =~ "a pool has no option :wokers"
    assert refused(name: Some, name: Other, pools: [@pool]) =~ "has an option twice, :name"

    assert pool_refused(backoff: [first: 1]) =~
             "a pool's backoff has no option :first; there are :first_ms"
  end

  test "names a wrong value and what it may be" do
    assert refused(name: "Some", pools: [@pool]) =~ ~s(:name must be an atom, not "Some")
    assert refused(name: Some, pools: []) =~ ":pools must be a list of at least one pool, not []"

    assert refused(name: Some, pools: [@pool], timeout: -1) =~
             ":timeout must be milliseconds or :infinity"

    assert refused(name: Some, pools: [@pool], job_capacity: 70_000) =~ "from 1 to 65536"

    for {option, value} <- [
          workers: 0,
          role: String.duplicate("r", 32),
          policy: :hope,
          high_percent: 101,
          low_percent: 0,
          fallback: :luck,
          routines: %{echo: :no},
          opcodes: %{mine: 1},
          compress: [:zip],
          wake: [],
          wake: [:horn],
          trusted: 1,
          env: %{a: 1},
          log_lines: -1
        ] do
      assert pool_refused([{option, value}]) =~ "#{inspect(option)} must be "
    end
  end

  test "names a wrong command and wrong sizes" do
    assert pool_refused(command: []) =~ "a pool's :command is the path of the worker's program"
    assert pool_refused(command: [:sh]) =~ "a pool's :command is the path"
    assert pool_refused(command: ["/bin/sh", 1]) =~ "a pool's command has texts"

    assert pool_refused(memory: [request: [{64}]]) =~
             ":request must be a list of {slot_bytes, count}"
  end

  test "wants pools to differ in name and role" do
    assert refused(name: Some, pools: [@pool, @pool]) =~ "two pools of Some have one name"
    other = Keyword.merge(@pool, name: :other, role: "loopback")
    assert refused(name: Some, pools: [@pool, other]) =~ "two pools of Some have one role"
  end
end
