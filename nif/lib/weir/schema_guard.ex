defmodule Weir.SchemaGuard do
  @moduledoc """
  What is let in: peers whose layout fits, requests and replies whose form fits.

  A peer with the same digest speaks the same layout. Another digest needs the peer's canonical
  text: a compatible layout (`Weir.LayoutDiff`) is accepted at the older of both minor versions,
  which the verdict records; a breaking one is refused with the first difference and the command
  that shows all. As `core/manager/schema_guard.h`, with the same sentences.

  Requests and replies of the fixed opcodes are structs of the layout with cells, values or points
  behind them: their lengths and reserved fields are checked here, their contents by the routine.
  """

  alias Weir.{LayoutCanonical, LayoutDiff, LayoutDigest, LayoutText}
  alias Weir.Layout.Generated, as: Layout

  @application_first Layout.constant(:OPCODE_APPLICATION_FIRST)

  # A REJECT holds 255 characters: the difference is cut so that the command behind it survives.
  @difference_shown 130

  @type refusal ::
          {:error, :unsupported | :incompatible | :protocol, sentence :: String.t()}

  @typedoc "What a peer says about its layout."
  @type claim :: %{major: non_neg_integer(), minor: non_neg_integer(), digest: <<_::256>>}

  @typedoc "What came out; `minor` is the agreed one, `difference` the first, nil when identical."
  @type verdict :: %{
          relation: :identical | :compatible,
          major: non_neg_integer(),
          minor: non_neg_integer(),
          difference: String.t() | nil
        }

  # Fixed structs at the beginning of requests and replies; nil for opcodes without a form.
  @forms %{
    echo: {nil, nil},
    crc: {nil, :crc_reply},
    simulate: {:simulate_request, :simulate_reply},
    pathfind: {:pathfind_request, :pathfind_reply},
    worldgen: {:worldgen_request, :worldgen_reply},
    analytics: {:analytics_request, :analytics_reply}
  }

  @doc "Judges a peer by its claim alone; `:text_needed` when its digest is another one."
  @spec judge_claim(claim()) :: {:ok, verdict()} | :text_needed | refusal()
  def judge_claim(claim) do
    {major, minor} = Layout.version()

    cond do
      claim.major != major ->
        breaking("major version #{claim.major} instead of #{major}")

      claim.digest != Layout.digest() ->
        :text_needed

      claim.minor != minor ->
        breaking("same digest, but minor version #{claim.minor} instead of #{minor}")

      true ->
        {:ok, %{relation: :identical, major: major, minor: minor, difference: nil}}
    end
  end

  @doc "Compares the own layout with a peer's canonical text, which must be the one it claimed."
  @spec judge_text(claim(), binary()) :: {:ok, verdict()} | refusal()
  def judge_text(claim, text) do
    with {:ok, peer} <- read(text), :ok <- as_claimed(claim, peer, text) do
      diff = compare(LayoutCanonical.layout(), peer)
      difference = LayoutDiff.first(diff)
      {major, minor} = Layout.version()

      case diff.relation do
        :breaking ->
          breaking(difference)

        relation ->
          minor = min(claim.minor, minor)
          {:ok, %{relation: relation, major: major, minor: minor, difference: difference}}
      end
    end
  end

  defp read(text) do
    case LayoutText.parse(text) do
      {:ok, layout} ->
        {:ok, layout}

      {:error, sentence} ->
        {:error, :protocol,
         "the worker's layout cannot be read: #{String.slice(sentence, 0, 200)}"}
    end
  end

  defp as_claimed(claim, peer, text) do
    cond do
      LayoutDigest.of(text) != claim.digest ->
        {:error, :protocol,
         "the worker's layout has another digest than its HELLO said; generate digest and text " <>
           "from one layout"}

      {peer.major, peer.minor} != {claim.major, claim.minor} ->
        {:error, :protocol,
         "the worker's layout has version #{peer.major}.#{peer.minor} and its HELLO said " <>
           "#{claim.major}.#{claim.minor}; generate both from one layout"}

      true ->
        :ok
    end
  end

  # The older is compared with the newer. With the same minor version either may be the one that
  # has more; a breaking difference is told as what the worker did to the manager's layout.
  defp compare(own, peer) do
    cond do
      peer.minor < own.minor ->
        LayoutDiff.compare(peer, own)

      peer.minor > own.minor ->
        LayoutDiff.compare(own, peer)

      true ->
        diff = LayoutDiff.compare(own, peer)
        other = LayoutDiff.compare(peer, own)
        if diff.relation == :breaking and other.relation != :breaking, do: other, else: diff
    end
  end

  defp breaking(difference) do
    {:error, :incompatible,
     "the worker's layout does not fit: #{String.slice(difference, 0, @difference_shown)}; see " <>
       "all with `weir layout diff OLD NEW`, then rebuild the worker against the manager's layout"}
  end

  @doc "May a request of this opcode be this long?"
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

  @doc "Does a request have the form of its opcode: its length, its struct, zero where reserved?"
  @spec validate_request(0..0xFFFF, binary()) :: :ok | refusal()
  def validate_request(opcode, payload) do
    with :ok <- check_request(opcode, byte_size(payload)),
         do: validate(form(opcode, 0), "request", payload)
  end

  @doc "Does a reply have the form of its opcode?"
  @spec validate_response(0..0xFFFF, binary()) :: :ok | refusal()
  def validate_response(opcode, payload), do: validate(form(opcode, 1), "reply", payload)

  defp form(opcode, which) do
    case @forms[Layout.opcode_name(opcode)] do
      nil -> nil
      forms -> elem(forms, which)
    end
  end

  defp validate(nil, _what, _payload), do: :ok

  defp validate(struct, what, payload) do
    if byte_size(payload) < Layout.size(struct) do
      {:error, :incompatible,
       "a #{what} that begins with #{struct} has at least #{Layout.size(struct)} bytes; it has #{byte_size(payload)}"}
    else
      case Enum.find(Layout.fields(struct), &(reserved?(&1) and not zero?(struct, &1, payload))) do
        nil -> :ok
        field -> {:error, :incompatible, "the field #{field} of #{struct} must be zero"}
      end
    end
  end

  defp reserved?(field), do: field |> Atom.to_string() |> String.starts_with?("reserved")

  defp zero?(struct, field, payload) do
    {_type, _count, offset, bytes} = Layout.field(struct, field)
    binary_part(payload, offset, bytes) == <<0::size(bytes)-unit(8)>>
  end
end
