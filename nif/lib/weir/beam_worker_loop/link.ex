defmodule Weir.BeamWorkerLoop.Link do
  @moduledoc """
  Where a worker loop's requests come from and where its replies go.

  The process that runs the loop is the only one that calls these functions. `{:fault, ...}` ends
  the loop: the other side has broken the protocol, or the memory is gone.
  """

  alias Weir.{Envelope, Ring}

  @type t :: struct()

  @type fault :: {:fault, atom(), String.t()}

  @typedoc "Why the loop ended: told to, the manager is gone, or a fault."
  @type ending :: :shutdown | :parent_gone | fault()

  @doc "What was agreed on, for the checks."
  @callback terms(t()) :: Envelope.terms()

  @doc "Up to `max` requests; their slots in the ring are free again."
  @callback take(t(), max :: pos_integer()) :: {:ok, [Ring.taken()]} | :empty | Ring.refusal()

  @doc "The payload that a checked request names; `:error` when its place is no slot."
  @callback payload(t(), Envelope.t()) :: {:ok, binary()} | :error

  @doc "The begun marker: from here on the job may have had effects."
  @callback begun(t(), index :: non_neg_integer()) :: :ok

  @doc """
  Stages a reply. A payload that fits in no slot makes it `oversize`, one for which no slot comes
  free in time `no_slot`; both then have no payload.
  """
  @callback reply(t(), Envelope.t(), binary()) :: :ok | fault()

  @doc "Gives the request's slot back."
  @callback release(t(), Envelope.t()) :: :ok | fault()

  @doc "One job has ended, with this status."
  @callback finished(t(), status :: atom()) :: :ok

  @doc "Publishes what is staged and wakes the manager."
  @callback flush(t()) :: :ok | fault()

  @doc "Waits for requests, an order, or the parent's end, at most this long."
  @callback wait(t(), timeout_ms :: pos_integer(), parent :: pid()) :: :ok | ending()

  for {name, arity} <- [
        terms: 1,
        take: 2,
        payload: 2,
        begun: 2,
        reply: 3,
        release: 2,
        finished: 2,
        flush: 1,
        wait: 3
      ] do
    [first | rest] = Macro.generate_arguments(arity, __MODULE__)

    @doc false
    def unquote(name)(%module{} = unquote(first), unquote_splicing(rest)),
      do: module.unquote(name)(unquote(first), unquote_splicing(rest))
  end
end
