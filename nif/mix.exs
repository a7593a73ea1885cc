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
    [extra_applications: [:logger, telemetry: :optional]]
  end

  defp elixirc_paths(:test), do: ["lib", "test/support"]
  defp elixirc_paths(_), do: ["lib"]
end
