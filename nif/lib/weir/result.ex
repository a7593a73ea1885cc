defmodule Weir.Result do
  @moduledoc """
  A job that ended well.

    * `payload` - the reply, verified. A copy, except for `pinned: true` jobs of a trusted pool
    * `opcode` - what was asked for, as the caller named it
    * `pool` - the pool that served it
    * `sent_count` - 1, or more when it was sent again after a worker was lost; 0 when it ran in the
      BEAM
    * `elapsed_ns` - from its submission to its end
  """

  @enforce_keys [:payload]
  defstruct [:payload, :opcode, :pool, sent_count: 1, elapsed_ns: 0]

  @type t :: %__MODULE__{
          payload: binary(),
          opcode: Weir.opcode(),
          pool: atom(),
          sent_count: non_neg_integer(),
          elapsed_ns: non_neg_integer()
        }
end
