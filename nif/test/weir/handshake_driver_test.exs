defmodule Weir.HandshakeDriverTest do
  use ExUnit.Case, async: true

  alias Weir.{HandshakeDriver, LayoutCanonical, LayoutDigest, LayoutText}
  alias Weir.HandshakeDriver.InMemory
  alias Weir.Layout.Generated, as: Layout

  setup do
    {:ok, listener} = start_supervised(%{id: InMemory, start: {InMemory, :listen, []}})
    offer = %{role: "words", correlation: "words-0-1", link: :the_link}
    token = InMemory.offer(listener, offer)

    identity = %{
      socket: listener,
      token: token,
      role: "words",
      correlation: "words-0-1",
      opcodes: [1, 2]
    }

    {:ok, listener: listener, identity: identity}
  end

  defp greet(identity), do: HandshakeDriver.greet(InMemory, identity, 2_000)

  test "gives a worker its terms", %{identity: identity} do
    {_major, minor} = Layout.version()

    assert {:ok, _connection, %{generation: 1, layout_minor: ^minor, link: :the_link}} =
             greet(identity)
  end

  test "leaves the messages of others in the mailbox, in order", %{identity: identity} do
    for number <- 1..3, do: send(self(), number)
    assert {:ok, _, _} = greet(identity)
    assert Process.info(self(), :messages) == {:messages, [1, 2, 3]}
  end

  test "lets a token be used once, whatever came of it", %{identity: identity} do
    assert {:error, :invalid, sentence} = greet(%{identity | role: "painter"})
    assert sentence =~ ~s("painter")
    assert {:error, :invalid, sentence} = greet(identity)
    assert sentence =~ "used before"
  end

  test "refuses in the order of the protocol", %{identity: identity, listener: listener} do
    wrong = %{
      protocol_version: 2,
      token: "none",
      correlation: "other",
      role: "painter",
      opcodes: [0],
      layout: %{major: 9, minor: 0, digest: <<0::256>>, text: nil}
    }

    for {fixed, words} <- [
          {[], "protocol 1"},
          {[:protocol_version], "token"},
          {[:protocol_version, :token], "correlation"},
          {[:protocol_version, :token, :correlation], "role"},
          {[:protocol_version, :token, :correlation, :role], "opcode 0"},
          {[:protocol_version, :token, :correlation, :role, :opcodes], "major version 9"}
        ] do
      token = InMemory.offer(listener, %{role: "words", correlation: "words-0-1"})
      right = Map.merge(identity, %{token: token, protocol_version: 1})
      assert {:error, _status, sentence} = greet(Map.merge(right, Map.drop(wrong, fixed)))
      assert sentence =~ words
    end
  end

  test "refuses no opcodes and too many", %{identity: identity, listener: listener} do
    for opcodes <- [[], Enum.to_list(1..65)] do
      token = InMemory.offer(listener, %{role: "words", correlation: "words-0-1"})

      assert {:error, :invalid, "a worker announces 1 to 64 opcodes"} =
               greet(%{identity | token: token, opcodes: opcodes})
    end
  end

  test "agrees on the older minor version of a compatible layout", %{identity: identity} do
    {major, minor} = Layout.version()

    text =
      String.replace(LayoutCanonical.text(), "minor = #{minor}\n", "minor = #{minor + 1}\n",
        global: false
      )

    {:ok, %{minor: newer}} = LayoutText.parse(text)
    layout = %{major: major, minor: newer, digest: LayoutDigest.of(text), text: text}
    assert {:ok, _, %{layout_minor: ^minor}} = greet(Map.put(identity, :layout, layout))
  end

  test "tells a breaking layout what to change", %{identity: identity} do
    {major, minor} = Layout.version()

    text =
      String.replace(LayoutCanonical.text(), "value = 65536\n", "value = 32768\n", global: false)

    layout = %{major: major, minor: minor, digest: LayoutDigest.of(text), text: text}
    assert {:error, :incompatible, sentence} = greet(Map.put(identity, :layout, layout))
    assert sentence =~ "RING_CAPACITY_MAX"
    assert sentence =~ "`weir layout diff OLD NEW`"
  end

  test "gives up on a manager that does not answer", %{identity: identity} do
    silent = spawn(fn -> Process.sleep(:infinity) end)

    assert {:error, :timeout, sentence} =
             HandshakeDriver.greet(InMemory, %{identity | socket: silent}, 30)

    assert sentence =~ "did not answer in time"
  end
end
