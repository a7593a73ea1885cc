defmodule Weir.TestVectorsTest do
  use ExUnit.Case, async: true

  alias Weir.TestVectors

  defp read(text) do
    path =
      Path.join(
        System.tmp_dir!(),
        "weir-vectors-#{System.unique_integer([:positive])}-#{System.pid()}"
      )

    File.write!(path, text)
    on_exit(fn -> File.rm(path) end)
    TestVectors.read!(path)
  end

  test "are read to their counted end" do
    for name <- ["envelope.txt", "ring.txt", "backoff.txt", "layout.txt"] do
      assert TestVectors.read!(name) != []
    end

    assert [{"ring", %{"name" => "a"}, 2}] = read("# one\nring name=a\n\nend cases=1\n")
  end

  test "that lost a case or their end fail the test" do
    for text <- [
          "",
          "# nothing\n",
          "end cases=0\n",
          "ring name=a\nend cases=2\n",
          "ring name=a\nroom free=2\nend cases=1\n",
          "ring name=a\n"
        ] do
      assert_raise RuntimeError, ~r/cases/, fn -> read(text) end
    end
  end

  test "that are missing fail the test" do
    assert_raise File.Error, fn -> TestVectors.read!("nothing.txt") end
  end
end
