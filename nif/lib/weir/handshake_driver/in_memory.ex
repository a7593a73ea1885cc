defmodule Weir.HandshakeDriver.InMemory do
  @moduledoc """
  The handshake between processes of one VM, with the checks of `docs/protocol.md` in their order.

  `listen/1` starts the manager's side; `offer/2` makes a one-use token for a worker that is to
  come, with what it will get. The identity's `socket` is the listener. An identity may also say
  another `:protocol_version`, or another `:layout` (a claim of `Weir.SchemaGuard`, with its `:text`),
  as a worker built from other sources would.
  """

  @behaviour Weir.HandshakeDriver

  use GenServer

  alias Weir.Layout.Generated, as: Layout
  alias Weir.SchemaGuard

  @token_bytes Layout.constant(:TOKEN_BYTES)
  @version Layout.constant(:PROTOCOL_VERSION)
  @opcodes_max Layout.constant(:OPCODE_COUNT_MAX)

  @doc "Starts the manager's side."
  @spec listen(keyword()) :: GenServer.on_start()
  def listen(options \\ []), do: GenServer.start_link(__MODULE__, options)

  @doc """
  Expects a worker: its `:role`, its `:correlation` (may be left out), its `:generation`, and what
  it shall get with the terms (`:link`). Returns the token.
  """
  @spec offer(GenServer.server(), map()) :: binary()
  def offer(listener, offer), do: GenServer.call(listener, {:offer, offer})

  @impl Weir.HandshakeDriver
  def connect(identity) do
    connection = {identity.socket, make_ref()}
    GenServer.cast(identity.socket, {:hello, self(), connection, hello(identity)})
    {:ok, connection}
  end

  @impl Weir.HandshakeDriver
  def step(connection) do
    receive do
      {:weir_greeting, ^connection, answer} -> answer
    after
      0 -> :pending
    end
  end

  # The message is what step/1 reads, so it goes back to where that finds it.
  @impl Weir.HandshakeDriver
  def wakes?(connection, {:weir_greeting, connection, _answer} = message) do
    send(self(), message)
    true
  end

  def wakes?(_connection, _message), do: false

  @impl Weir.HandshakeDriver
  def close(_connection), do: :ok

  defp hello(identity) do
    {major, minor} = Layout.version()

    Map.merge(
      %{
        protocol_version: @version,
        role: "",
        correlation: "",
        layout: %{major: major, minor: minor, digest: Layout.digest(), text: nil}
      },
      Map.delete(identity, :socket)
    )
  end

  @impl GenServer
  def init(_options), do: {:ok, %{offers: %{}, generation: 0}}

  @impl GenServer
  def handle_call({:offer, offer}, _from, state) do
    token = Base.encode16(:rand.bytes(@token_bytes), case: :lower)
    generation = state.generation + 1
    offer = Map.merge(%{role: "", correlation: nil, generation: generation}, offer)

    {:reply, token,
     %{state | offers: Map.put(state.offers, token, offer), generation: generation}}
  end

  @impl GenServer
  def handle_cast({:hello, worker, connection, hello}, state) do
    {answer, state} = judge(hello, state)
    send(worker, {:weir_greeting, connection, answer})
    {:noreply, state}
  end

  defp judge(%{protocol_version: version}, state) when version != @version do
    {{:error, :incompatible,
      "the manager speaks protocol #{@version}, the worker #{version}; rebuild the older"}, state}
  end

  # The token counts as used from here on, whatever comes next.
  defp judge(hello, state) do
    {offer, offers} = Map.pop(state.offers, hello.token)
    {welcome(hello, offer), %{state | offers: offers}}
  end

  defp welcome(_hello, nil),
    do: {:error, :invalid, "the token belongs to no worker that is expected, or was used before"}

  defp welcome(hello, offer) do
    with :ok <- correlation(hello, offer),
         :ok <- role(hello, offer),
         :ok <- opcodes(hello.opcodes),
         {:ok, verdict} <- layout(hello.layout) do
      {:ok,
       %{
         generation: offer.generation,
         layout_minor: verdict.minor,
         link: offer[:link]
       }}
    end
  end

  defp correlation(_hello, %{correlation: nil}), do: :ok
  defp correlation(%{correlation: same}, %{correlation: same}), do: :ok

  defp correlation(_hello, _offer),
    do: {:error, :invalid, "the correlation belongs to another worker than the token"}

  defp role(%{role: same}, %{role: same}), do: :ok

  defp role(hello, offer),
    do:
      {:error, :invalid,
       "the worker's role is #{inspect(hello.role)}, #{inspect(offer.role)} is expected"}

  defp opcodes(opcodes) when length(opcodes) in 1..@opcodes_max do
    if 0 in opcodes, do: {:error, :invalid, "opcode 0 is never served"}, else: :ok
  end

  defp opcodes(_none_or_too_many),
    do: {:error, :invalid, "a worker announces 1 to #{@opcodes_max} opcodes"}

  defp layout(claim) do
    with :text_needed <- SchemaGuard.judge_claim(claim),
         do: SchemaGuard.judge_text(claim, claim.text || "")
  end
end
