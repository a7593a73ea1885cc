defmodule Weir.Harness.OptionsTest do
  use ExUnit.Case, async: true

  alias Weir.Harness.Options

  defp refusal(arguments) do
    assert {:error, sentence} = Options.parse(arguments)
    sentence
  end

  test "have defaults, a fresh seed among them" do
    assert {:ok, settings} = Options.parse([])
    assert %{ring: :shm, worker: :c, wake: nil, jobs: nil, workers: 2, callers: 32} = settings
    assert settings.for_ns == 10_000_000_000
    assert settings.opcodes == [:echo, :crc, :simulate, :pathfind, :worldgen, :analytics]
    assert is_integer(settings.seed)
  end

  test "may say how many jobs, and then there is no time limit" do
    assert {:ok, %{jobs: 1_000, for_ns: nil}} = Options.parse(["--jobs", "1000"])
    assert {:ok, %{jobs: 9, for_ns: 1_500_000_000}} = Options.parse(~w(--jobs 9 --for 1.5s))
  end

  test "refuse pairs that cannot be, with the reason" do
    assert refusal(~w(--ring memory --worker c)) =~ "cannot see the VM's memory"
    assert refusal(~w(--ring memory --wake eventfd)) =~ "a message wakes the worker"
    assert refusal(~w(--worker beam --wake futex)) =~ "would hold a scheduler"
    assert refusal(~w(--worker beam --wake signal)) =~ "would hold a scheduler"
    assert refusal(~w(--ring memory --chaos crash)) =~ "needs worker processes"
    assert refusal(~w(--worker beam --opcodes echo,pathfind)) =~ "does not serve pathfind"
    assert refusal(~w(--cookie secret)) =~ "goes with --nodes"
  end

  test "accept every other pair" do
    for arguments <- [
          ~w(--ring shm --worker c --wake futex),
          ~w(--ring shm --worker c --wake eventfd),
          ~w(--ring shm --worker c --wake signal),
          ~w(--ring shm --worker beam),
          ~w(--ring shm --worker beam --wake eventfd),
          ~w(--ring memory),
          ~w(--ring memory --worker beam)
        ] do
      assert {:ok, _} = Options.parse(arguments)
    end
  end

  test "say what is wrong with a value" do
    assert refusal(~w(--ring disk)) == "--ring cannot be disk; choose one of shm, memory"
    assert refusal(~w(--workers 0)) == "--workers must be a number from 1 to 128"
    assert refusal(~w(--workers two)) == "--workers must be a number from 1 to 128"
    assert refusal(~w(--for 20)) =~ "such as 20s"
    assert refusal(~w(--opcodes echo,dance)) =~ "--opcodes cannot be dance"
    assert refusal(~w(--chaos earthquake)) =~ "crash, stall, oversize, drop_wake"
    assert refusal(~w(--nodes here)) =~ "such as a@host,b@host"
    assert refusal(~w(--nodes a@h,a@h)) =~ "names a node twice"
    assert refusal(~w(--nodes a@h,b@h.example.org)) =~ "mixes short names and long ones"
    assert refusal(~w(--jbos 3)) =~ "there is no option --jbos"
    assert refusal(~w(now)) =~ "now is no option"
    assert refusal(~w(--jobs)) =~ "--jobs needs a value"
  end

  test "make the command that repeats a run" do
    arguments = ~w(--seed 7 --worker beam --wake eventfd --jobs 5 --workers 3 --chaos crash,stall)
    {:ok, settings} = Options.parse(arguments)
    command = Options.command(settings)

    assert command ==
             "mix ipc.harness --seed 7 --worker beam --wake eventfd --jobs 5 --workers 3 " <>
               "--chaos crash,stall"

    assert Options.parse(command |> String.split() |> Enum.drop(2)) == {:ok, settings}
  end

  test "repeat a run with the default time by its seed alone" do
    {:ok, settings} = Options.parse(~w(--seed 0xFFFFFFFFFFFFFFFF))
    assert Options.command(settings) == "mix ipc.harness --seed 18446744073709551615"
  end

  test "show the help when it is asked for" do
    assert Options.parse(~w(--workers 3 --help)) == :help
  end
end
