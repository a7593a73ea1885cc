defmodule Weir.Property do
  @moduledoc """
  Runs PropEr properties (Debian's erlang-proper) inside ExUnit.

  Each property prints its seed first; `WEIR_TEST_SEED=N` runs them all with that seed again.
  """

  import ExUnit.Assertions, only: [flunk: 1]

  @doc """
  A property: for all values of the generator the function returns true.

  What it raises is printed and counts as false: PropEr 1.2 itself cannot tell a stack trace on OTP
  25, and would end instead of shrinking.
  """
  @spec forall(term(), (term() -> boolean())) :: term()
  def forall(generator, function) do
    :proper.forall(generator, fn value ->
      try do
        function.(value)
      catch
        kind, reason ->
          IO.puts(Exception.format(kind, reason, __STACKTRACE__))
          false
      end
    end)
  end

  @doc "Fails with the shrunk counterexample unless the property holds for `count` values."
  @spec check(String.t(), pos_integer(), term()) :: :ok
  def check(name, count, property) do
    seed = seed()
    IO.puts("property #{inspect(name)}: seed #{seed}")
    # PropEr takes the process's generator when there is one.
    :rand.seed(:exsplus, {seed, 0, 0})

    case :proper.quickcheck(property, [:quiet, :long_result, {:numtests, count}]) do
      true ->
        :ok

      {:error, reason} ->
        flunk("#{name}: PropEr gave up with #{inspect(reason)}; WEIR_TEST_SEED=#{seed}")

      counterexample ->
        flunk("#{name} does not hold for #{inspect(counterexample)}; WEIR_TEST_SEED=#{seed}")
    end
  end

  defp seed do
    case System.get_env("WEIR_TEST_SEED") do
      nil -> :rand.uniform(1_000_000_000)
      text -> String.to_integer(text)
    end
  end
end
