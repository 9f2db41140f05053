-- `resty.upload`: a multipart body piece by piece, from the request's socket.

local M = { _VERSION = "0.11" }
local mt = { __index = M }

local match = string.match

local PREAMBLE, HEADER, BODY, EOF = 1, 2, 3, 4

local function boundary_of(content_type)
  if type(content_type) == "table" then
    content_type = content_type[1]
  end
  if not content_type then
    return nil
  end
  return match(content_type, ';%s*boundary="([^"]+)"') or match(content_type, ";%s*boundary=([^\",;]+)")
end

--- A reader of the current request's body: `chunk_size` bytes at most in a piece, lines of `max_line_size` at most.
function M.new(self, chunk_size, max_line_size)
  if type(self) == "number" then
    chunk_size, max_line_size = self, chunk_size
  end
  local boundary = boundary_of(ngx.var.content_type)
  if not boundary then
    return nil, "no boundary defined in Content-Type"
  end
  local sock, err = ngx.req.socket()
  if not sock then
    return nil, err
  end
  local to_boundary
  to_boundary, err = sock:receiveuntil("--" .. boundary)
  if not to_boundary then
    return nil, err
  end
  local in_part
  in_part, err = sock:receiveuntil("\r\n--" .. boundary)
  if not in_part then
    return nil, err
  end
  return setmetatable({
    sock = sock, size = chunk_size or 4096, line_size = max_line_size or 512, to_boundary = to_boundary,
    in_part = in_part, state = PREAMBLE,
  }, mt)
end

function M:set_timeout(timeout)
  if not self.sock then
    return nil, "not initialized"
  end
  return self.sock:settimeout(timeout)
end

local function line(self)
  local iterator, err = self.sock:receiveuntil("\r\n")
  if not iterator then
    return nil, err
  end
  local text
  text, err = iterator(self.line_size)
  if not text then
    return nil, err
  end
  local more
  more, err = iterator(1)
  if more then
    return nil, "line too long: " .. text .. more .. "..."
  elseif err then
    return nil, err
  end
  return text
end

-- after a boundary: "--" ends the body, a line end begins a part
local function after_boundary(self)
  local two, err = self.sock:receive(2)
  if not two then
    return nil, err
  end
  if two == "--" then
    local rest = 1
    while rest do
      rest = self.sock:receive(self.size)
    end
    self.state = EOF
    return true
  end
  if two ~= "\r\n" then
    local rest
    rest, err = line(self)
    if not rest then
      return nil, err
    end
  end
  self.state = HEADER
  return true
end

local read = {}

read[PREAMBLE] = function(self)
  local skipped, err
  repeat
    skipped, err = self.to_boundary(self.size)
  until not skipped
  if err then
    return nil, nil, err
  end
  local ok
  ok, err = after_boundary(self)
  if not ok then
    return nil, nil, err
  end
  return read[self.state](self)
end

read[HEADER] = function(self)
  local text, err = line(self)
  if not text then
    return nil, nil, err
  end
  if text == "" then
    self.state = BODY
    return read[BODY](self)
  end
  local key, value = match(text, "([^: \t]+)%s*:%s*(.+)")
  if not key then
    return "header", text
  end
  return "header", { key, value, text }
end

read[BODY] = function(self)
  local piece, err = self.in_part(self.size)
  if err then
    return nil, nil, err
  end
  if piece then
    return "body", piece
  end
  local ok
  ok, err = after_boundary(self)
  if not ok then
    return nil, nil, err
  end
  return "part_end"
end

read[EOF] = function()
  return "eof"
end

--- `"header", { name, value, line }`, `"body", piece`, `"part_end"` or `"eof"`; or nil and an error.
function M:read()
  local kind, value, err = read[self.state](self)
  if not kind then
    return nil, err
  end
  return kind, value
end

return M
