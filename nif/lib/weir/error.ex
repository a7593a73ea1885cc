defmodule Weir.Error do
  @moduledoc """
  A job that did not end well, or was not accepted.

    * `outcome` - how it ended, one of the outcomes of the layout: `:failed`, `:timeout`,
      `:worker_lost`, `:manager_lost`, `:corrupt`, `:rejected`, `:oversize`, `:unsupported`,
      `:incompatible`, `:cancelled`; or `:closed` when the instance is stopping
    * `text` - a sentence: what the routine said (`:failed`), else what the outcome means
    * `opcode`, `pool`, `sent_count`, `elapsed_ns` - as in `Weir.Result`
  """

  defexception [:outcome, :text, :opcode, :pool, sent_count: 0, elapsed_ns: 0]

  @type outcome ::
          :failed
          | :timeout
          | :worker_lost
          | :manager_lost
          | :corrupt
          | :rejected
          | :oversize
          | :unsupported
          | :incompatible
          | :cancelled
          | :closed

  @type t :: %__MODULE__{
          outcome: outcome(),
          text: String.t(),
          opcode: Weir.opcode() | nil,
          pool: atom(),
          sent_count: non_neg_integer(),
          elapsed_ns: non_neg_integer()
        }

  @impl true
  def message(error) do
    "job #{inspect(error.opcode)} of pool #{inspect(error.pool)} ended as #{error.outcome}: " <>
      error.text
  end

  @doc "What an outcome means, and what to do about it."
  @spec sentence(outcome()) :: String.t()
  def sentence(:failed), do: "the worker's routine reported an error"
  def sentence(:timeout), do: "the deadline passed; allow more time or add workers"

  def sentence(:worker_lost),
    do: "the worker died in it; a job with idempotent: true would be sent again"

  def sentence(:manager_lost), do: "the manager ended before the job did"
  def sentence(:corrupt), do: "request or reply did not match its checksum"
  def sentence(:rejected), do: "there was no room; another policy or more workers would make some"
  def sentence(:oversize), do: "request or reply fits in no slot; see the pool's :memory"
  def sentence(:unsupported), do: "no worker of the pool serves the opcode"
  def sentence(:incompatible), do: "the request breaks the opcode's schema"
  def sentence(:cancelled), do: "the caller or the stop of the instance cancelled it"
  def sentence(:closed), do: "the instance is stopping and takes no more jobs"
end
