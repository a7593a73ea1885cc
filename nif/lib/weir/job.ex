defmodule Weir.Job do
  @moduledoc "A submitted job; see `Weir.submit/3`, `Weir.await/2` and `Weir.cancel/1`."

  @enforce_keys [
    :tag,
    :caller,
    :owner,
    :handle,
    :pool,
    :opcode,
    :payload,
    :started,
    :timeout_ns,
    :flags
  ]
  defstruct [
    :tag,
    :caller,
    :owner,
    :handle,
    :pool,
    :opcode,
    :payload,
    :started,
    :timeout_ns,
    :flags
  ]

  @opaque t :: %__MODULE__{}
end
