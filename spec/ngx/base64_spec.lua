describe("D4 ngx.base64", function()
  local b64 = require "ngx.base64"

  it("D4 encode_base64url: the alphabet of URLs, no padding", function()
    for plain, text in pairs {
      [""] = "", a = "YQ", ab = "YWI", abc = "YWJj", ["\251\255\191"] = "-_-_", ["\0"] = "AA", ["\255\255"] = "__8",
    } do
      assert.equal(text, b64.encode_base64url(plain))
      assert.equal(plain, b64.decode_base64url(text))
    end
  end)

  it("D4 there and back, whatever the length", function()
    local bytes = {}
    for i = 0, 600 do
      bytes[#bytes + 1] = string.char(i * 7 % 256)
      local plain = table.concat(bytes)
      local text = b64.encode_base64url(plain)
      assert.equal(math.ceil(#plain * 4 / 3), #text)
      assert.is_nil(text:find("[^%w_-]"))
      assert.equal(plain, b64.decode_base64url(text))
    end
  end)

  it("D4 decode_base64url refuses what isn't its alphabet", function()
    for _, text in ipairs { "+/+/", "a", "abcde", "Y Q", "YQ\n", "\0\0", "YQ*" } do
      local plain, err = b64.decode_base64url(text)
      assert.is_nil(plain)
      assert.equal("invalid input", err, text)
    end
  end)

  it("D4 decode_base64url ends at padding", function()
    assert.equal("a", b64.decode_base64url("YQ=="))
    assert.equal("ab", b64.decode_base64url("YWI="))
  end)

  it("D4 both take strings only", function()
    for _, name in ipairs { "encode_base64url", "decode_base64url" } do
      for _, junk in ipairs { false, true, 12, {}, print, ngx.null } do
        local text, err = b64[name](junk)
        assert.is_nil(text)
        assert.equal("must provide a string", err)
      end
      assert.same({ nil, "must provide a string" }, { b64[name]() })
    end
  end)
end)
