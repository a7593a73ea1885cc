defmodule Weir.Harness.CampaignTest do
  # The books of a campaign, with nodes that are only names.
  use ExUnit.Case, async: true

  alias Weir.Harness.{Campaign, Nodes, Options}

  @a :"a@campaign-test"
  @b :"b@campaign-test"

  setup do
    {:ok, settings} = Options.parse(~w(--nodes #{@a},#{@b} --jobs 1000))

    campaign =
      start_supervised!(%{id: Campaign, start: {GenServer, :start_link, [Campaign, settings]}})

    # The first to come wait for the last.
    waiting = Task.async(fn -> lease(campaign, @a) end)
    {:ok, block_b} = lease(campaign, @b)
    {:ok, block_a} = Task.await(waiting)
    %{campaign: campaign, a: block_a, b: block_b}
  end

  defp lease(campaign, node, report \\ nil),
    do: GenServer.call(campaign, {:lease, node, report, true})

  defp tell(campaign, node, report),
    do: GenServer.call(campaign, {:lease, node, report, false})

  defp close(campaign) do
    {totals, nodes, found, _elapsed} = GenServer.call(campaign, {:close, %{}})
    {totals, Map.new(nodes, &{&1.name, &1}), found}
  end

  defp all_ok({_, count} = block), do: {block, %{ok: count}}

  test "blocks do not overlap", %{a: {first_a, count_a}, b: {first_b, count_b}} do
    assert first_a + count_a <= first_b or first_b + count_b <= first_a
  end

  test "what nodes tell adds up", %{campaign: campaign, a: a, b: {_, count} = b} do
    assert :done = tell(campaign, @a, all_ok(a))
    assert :done = tell(campaign, @b, {b, %{ok: count - 2, rejected: 2}})
    assert {totals, nodes, []} = close(campaign)
    assert totals.entered == totals.outcomes |> Map.values() |> Enum.sum()
    assert totals.outcomes.rejected == 2
    assert nodes[@b].jobs == count
  end

  test "there are not more jobs than were asked for", %{campaign: campaign, a: a} do
    all = drain(campaign, {:ok, a}, [])
    assert all |> Enum.map(&elem(&1, 1)) |> Enum.sum() <= 1_000
    assert lease(campaign, @a) == :done
  end

  defp drain(_campaign, :done, blocks), do: blocks

  defp drain(campaign, {:ok, block}, blocks),
    do: drain(campaign, lease(campaign, @a, all_ok(block)), [block | blocks])

  test "a block that is told twice is noticed", %{campaign: campaign, a: a, b: b} do
    tell(campaign, @a, all_ok(a))
    tell(campaign, @a, all_ok(a))
    tell(campaign, @b, all_ok(b))
    assert {_, _, [complaint]} = close(campaign)
    assert complaint =~ "which had ended already"
  end

  test "a block that another node has is noticed", %{campaign: campaign, a: a, b: b} do
    tell(campaign, @b, all_ok(a))
    tell(campaign, @b, all_ok(b))
    tell(campaign, @a, all_ok(a))
    assert {_, _, [complaint]} = close(campaign)
    assert complaint =~ "which #{@a} has"
  end

  test "a block with too few outcomes is noticed", %{campaign: campaign, a: {_, n} = a, b: b} do
    tell(campaign, @a, {a, %{ok: n - 1}})
    tell(campaign, @b, all_ok(b))
    assert {_, _, [complaint]} = close(campaign)
    assert complaint =~ "told #{n - 1} outcomes of the #{n} jobs"
  end

  test "a block that is never told of is noticed", %{campaign: campaign, a: {_, n}, b: b} do
    tell(campaign, @b, all_ok(b))
    assert {_, _, [complaint]} = close(campaign)
    assert complaint =~ "the #{n} jobs"
    assert complaint =~ "never ended"
  end

  test "a dead node's open jobs are manager_lost and listed", %{campaign: campaign, a: a, b: b} do
    {first, count} = a
    tell(campaign, @b, all_ok(b))
    GenServer.cast(campaign, {:ended, @a, true})
    assert {totals, nodes, [complaint]} = close(campaign)
    assert totals.outcomes.manager_lost == count
    assert totals.entered == totals.outcomes |> Map.values() |> Enum.sum()
    assert nodes[@a].end == "died"

    assert complaint =~
             "its #{count} unfinished jobs are manager_lost: #{first}-#{first + count - 1}"
  end

  test "a node joins only with the same layout and the same build" do
    mine = Nodes.identity()
    assert Nodes.differences(mine, mine) == :ok
    other = :binary.copy(<<7>>, 32)
    assert {:error, layout} = Nodes.differences(mine, %{mine | layout: other})
    assert layout =~ "its layout has the digest 070707070707"
    assert {:error, build} = Nodes.differences(mine, %{mine | build: other})
    assert build =~ "its build has the digest"
  end
end
