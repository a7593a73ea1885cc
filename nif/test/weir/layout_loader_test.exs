defmodule Weir.LayoutLoaderTest do
  # The loaded layout is the VM's.
  use ExUnit.Case

  alias Weir.Layout.Generated
  alias Weir.{LayoutDiff, LayoutCanonical, LayoutLoader, LayoutText, Native, TestVectors}

  @toml Path.expand("../../../core/layout/07-layout.toml", __DIR__)

  setup do
    LayoutLoader.forget()
    on_exit(&LayoutLoader.forget/0)
  end

  test "loads the description through the NIF, with the generated module's places" do
    assert LayoutLoader.load(@toml) == :ok
    assert LayoutLoader.source() == :native
    assert LayoutLoader.digest() == Generated.digest()
    assert LayoutLoader.version() == Generated.version()

    for struct <- Generated.structs() do
      assert LayoutLoader.size(struct) == Generated.size(struct)

      for field <- Generated.fields(struct) do
        {type, count, offset, bytes} = Generated.field(struct, field)
        type = if count, do: "#{type}[#{count}]", else: "#{type}"

        assert {struct, field, LayoutLoader.place(struct, field)} ==
                 {struct, field, {offset, bytes, type}}
      end
    end
  end

  test "loads by itself, and without a NIF from the generated module" do
    assert LayoutLoader.offset(:envelope, :job_id) == 16
    assert LayoutLoader.source() == :native
    ebin = to_string(:code.lib_dir(:weir, :ebin))

    script = """
    :ok = Weir.LayoutLoader.load()
    IO.inspect({Weir.LayoutLoader.source(), Weir.LayoutLoader.offset("envelope", "job_id")})
    """

    # A library that is not there leaves the module without one.
    env = [{"WEIR_NIF", "/nonexistent/weir_nif.so"}]

    {said, 0} =
      System.cmd("elixir", ["-pa", ebin, "-e", script], env: env, stderr_to_stdout: true)

    assert said =~ "{:generated, 16}"
  end

  test "says where a description is wrong" do
    path = Path.join(System.tmp_dir!(), "weir-layout-#{System.pid()}.toml")
    on_exit(fn -> File.rm(path) end)

    File.write!(
      path,
      String.replace(File.read!(@toml), "offset = 8,", "offset = 9,", global: false)
    )

    assert {:error, sentence} = LayoutLoader.load(path)
    assert sentence =~ ~r/^weir-layout-\d+\.toml:\d+:\d+: /
    assert {:error, sentence} = LayoutLoader.load(path <> ".missing")
    assert sentence =~ "cannot be read"
  end

  test "refuses another layout with what differs" do
    path = Path.join(System.tmp_dir!(), "weir-layout-#{System.pid()}.toml")
    on_exit(fn -> File.rm(path) end)

    File.write!(
      path,
      String.replace(File.read!(@toml), "value = 65536", "value = 32768", global: false)
    )

    assert {:error, sentence} = LayoutLoader.load(path)
    assert sentence =~ "RING_CAPACITY_MAX: value 65536 became 32768"
    assert sentence =~ "weir layout gen"
  end

  test "Elixir and the NIF compare layouts alike" do
    texts = TestVectors.texts!("layout.txt")
    assert {:ok, %{digest: digest}} = Native.layout_load(LayoutCanonical.text(), "own")
    assert digest == Generated.digest()

    for {"diff", fields, _line} <- TestVectors.read!("layout.txt") do
      {from, to} = {texts[fields["from"]], texts[fields["to"]]}
      {:ok, relation, first} = Native.layout_diff(from, to)
      {:ok, old} = LayoutText.parse(from)
      {:ok, new} = LayoutText.parse(to)
      diff = LayoutDiff.compare(old, new)

      assert {fields["name"], diff.relation, LayoutDiff.first(diff) || ""} ==
               {fields["name"], relation, first}
    end
  end
end
