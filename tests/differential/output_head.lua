-- request: HEAD /head
local parts = {}
local function note(...)
  for i = 1, select("#", ...) do
    parts[#parts + 1] = tostring((select(i, ...)))
  end
end
note(ngx.flush(true))
ngx.header["X-One"] = table.concat(parts, " ")
local made = ngx.location and "there" or "not there"
ngx.header["X-Two"] = made
ngx.print("a body that nobody sees")
ngx.header["X-Late"] = "1"
