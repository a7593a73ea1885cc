defmodule Weir.MixProject do
  use Mix.Project

  def project do
    [
      app: :weir,
      version: "0.1.0",
      elixir: "~> 1.14",
      # The NIF's compiler is part of this project, so Elixir's own compilers must run before it.
      compilers: Mix.compilers() ++ [:weir_nif],
      elixirc_paths: elixirc_paths(Mix.env()),
      start_permanent: false,
      deps: []
    ]
  end

  # Telemetry is used when the host application brings it; naming it here without a dependency
  # keeps Mix from asking for Hex.
  def application do
    [extra_applications: [:logger, telemetry: :optional] ++ test_applications(Mix.env())]
  end

  # Debian's erlang-proper, for the properties.
  defp test_applications(:test), do: [:proper]
  defp test_applications(_), do: []

  # The generated layout module is compiled where the generator keeps it, so that there is no copy
  # that could go stale.
  defp elixirc_paths(:test), do: elixirc_paths(:dev) ++ ["test/support"]
  defp elixirc_paths(_), do: ["lib", Path.expand("../core/layout/generated", __DIR__)]
end
