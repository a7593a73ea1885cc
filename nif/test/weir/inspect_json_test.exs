defmodule Weir.InspectJsonTest do
  use ExUnit.Case, async: true

  alias Weir.Inspect.Json

  test "writes plain data in one line, keys in order" do
    assert Json.encode(%{b: [1, -2, 0.5, nil, true, :word], a: "text", c: %{}}) ==
             ~s({"a": "text", "b": [1, -2, 0.5, null, true, "word"], "c": {}})
  end

  test "escapes what JSON does not take as it is" do
    assert Json.encode("a\"b\\c\nd\te\u0001\u009bé€🐟") ==
             ~S("a\"b\\c\nd\te\u0001\u009Bé€🐟")
  end

  test "writes bytes that are no text in a way that can be read" do
    assert Json.encode(<<255, 0>>) == ~s("<<255, 0>>")
  end
end
