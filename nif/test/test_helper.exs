ExUnit.start(
  capture_log: true,
  exclude: Weir.TestSupport.exclusions(),
  formatters: [ExUnit.CLIFormatter, Weir.TestSupport.TotalsFormatter]
)
