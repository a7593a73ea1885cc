defmodule Weir.Instance.Core do
  @moduledoc "Ports and ingestor of an instance, which may crash without the rest; see `Weir.Instance`."

  use Supervisor

  alias Weir.{Instance, PortSupervisor, ResultIngestor}

  @doc false
  def start_link(options) do
    Supervisor.start_link(__MODULE__, options, name: Instance.part(options.name, __MODULE__))
  end

  @impl true
  def init(options) do
    Supervisor.init([{PortSupervisor, options}, {ResultIngestor, options}],
      strategy: :rest_for_one
    )
  end
end
