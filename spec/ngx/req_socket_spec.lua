-- Outside a client's request there is no socket to have; what it does with one is shown in tests/it/d03_req_socket.rs.
describe("D3 ngx.req.socket", function()
  it("is there in requests only", function()
    local ok, err
    ngx.timer.at(0, function()
      ok, err = pcall(ngx.req.socket)
    end)
    for _ = 1, 500 do
      if ok ~= nil then
        break
      end
      ngx.sleep(0.01)
    end
    assert.is_false(ok)
    assert.matches("API disabled in the context of ngx.timer", err, 1, true)
  end)

  it("raises on junk", function()
    assert.error_matches(function() ngx.req.socket(1, 2) end, "expecting 0 or 1 argument, but got 2")
  end)
end)
