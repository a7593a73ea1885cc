defmodule Weir.SchemaGuard do
  @moduledoc """
  What is let in: requests and replies of a length and form that their opcode allows.
  """

  alias Weir.Layout.Generated, as: Layout

  @application_first Layout.constant(:OPCODE_APPLICATION_FIRST)

  @type refusal :: {:error, :unsupported | :incompatible, sentence :: String.t()}

  @doc "May a request of this opcode be this long? As `weir_schema_check_request` of libweir."
  @spec check_request(0..0xFFFF, non_neg_integer()) :: :ok | refusal()
  def check_request(opcode, _bytes) when opcode >= @application_first, do: :ok

  def check_request(opcode, bytes) do
    case Layout.request_limits(opcode) do
      nil ->
        {:error, :unsupported,
         "opcode #{opcode} is not in the layout; use one of those that `weir layout show` lists, " <>
           "or one of your own from #{@application_first} on"}

      {least, most} when bytes < least or bytes > most ->
        {:error, :incompatible,
         "a #{Layout.opcode_name(opcode)} request has #{bytes} bytes; it must have #{least} to #{most}"}

      _fits ->
        :ok
    end
  end
end
