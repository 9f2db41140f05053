describe("A11 kong.tools", function()
  it("A11 the facade has the functions of its parts", function()
    local utils = require "kong.tools.utils"
    for _, name in ipairs {
      "split", "strip", "table_merge", "deep_copy", "uuid", "is_valid_uuid", "random_string", "get_rand_bytes",
      "encode_args", "normalize_ip", "hostname_type", "format_host", "validate_header_name", "table_contains",
      "is_array", "concat", "add_error", "time_ns", "load_module_if_exists", "bytes_to_str",
    } do
      assert.is_function(utils[name], name)
    end
  end)

  it("A11 replaces dashes and splits", function()
    local tools = require "kong.tools.string"
    assert.equal("x_real_ip", tools.replace_dashes_lower("X-Real-IP"))
    assert.same({ "a", "b", "" }, { unpack(tools.split("a,b,", ",")) })
    assert.same({ "a", "b,c" }, (tools.splitn("a,b,c", ",", 2)))
  end)

  it("A11 tells clocks", function()
    local time = require "kong.tools.time"
    assert.near(ngx.now() * 1e9, time.time_ns(), 5e9)
    assert.near(ngx.now(), time.get_updated_now(), 5)
  end)
end)

describe("A11 resty", function()
  it("A11 lrucache forgets what was used least recently, and what has expired", function()
    local cache = require("resty.lrucache").new(2)
    cache:set("a", 1)
    cache:set("b", 2)
    cache:get("a")
    cache:set("c", 3)
    assert.is_nil(cache:get("b"))
    assert.equal(1, cache:get("a"))
    cache:set("d", 4, 0.001)
    ngx.sleep(0.02)
    ngx.update_time()
    local value, stale = cache:get("d")
    assert.is_nil(value)
    assert.equal(4, stale)
  end)

  it("A11 digests take text in pieces", function()
    local sha256 = require("resty.sha256"):new()
    sha256:update("a")
    sha256:update("bc")
    assert.equal("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
      require("resty.string").to_hex(sha256:final()))
  end)
end)
