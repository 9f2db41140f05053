-- Bodies of HTTP/1.1 messages over a cosocket: readers of the three framings, and sending.
--
-- A reader is a function of the most bytes wanted (or nil: a chunk, or all), which returns text, nil at the
-- end, or nil and an error. It calls `done` once when the message was read whole.

local http_headers = require "resty.http_headers"

local type, tonumber, min, concat = type, tonumber, math.min, table.concat

local M = {}

local function limit(max)
  max = tonumber(max)
  return max and max > 0 and max or nil
end

--- Header lines up to the empty one, as `resty.http_headers`.
function M.read_headers(sock)
  local headers = http_headers.new()
  while true do
    local line, err = sock:receive("*l")
    if not line then
      return nil, err
    elseif line == "" then
      return headers
    end
    local name, value = line:match("^([^:%s]+):[ \t]*(.*)$")
    if not name then
      return nil, "invalid header line"
    end
    value = value:match("^(.*[^ \t])") or ""
    local old = headers[name]
    if old == nil then
      headers[name] = value
    elseif type(old) == "table" then
      old[#old + 1] = value
    else
      headers[name] = { old, value }
    end
  end
end

--- Chunked; `done` gets the trailers.
function M.chunked(sock, done)
  local left, over = 0, false
  return function(max)
    if over then
      return nil
    end
    if left == 0 then
      local line, err = sock:receive("*l")
      if not line then
        return nil, err
      end
      local size = line:match("^(%x+)[ \t]*$") or line:match("^(%x+)[ \t]*;")
      left = size and #size <= 13 and tonumber(size, 16)
      if not left then
        left, over = 0, true
        return nil, "unable to read chunksize"
      elseif left == 0 then
        over = true
        local trailers
        trailers, err = M.read_headers(sock)
        if not trailers then
          return nil, err
        end
        done(trailers)
        return nil
      end
    end
    local size = min(left, limit(max) or left)
    local text, err = sock:receive(size)
    if not text then
      return nil, err
    end
    left = left - size
    if left == 0 then
      local mark
      mark, err = sock:receive(2)
      if mark ~= "\r\n" then
        over = true
        return nil, err or "chunk without an end"
      end
    end
    return text
  end
end

--- With a length.
function M.sized(sock, length, done)
  local left = length
  return function(max)
    if left == 0 then
      return nil
    end
    local size = min(left, limit(max) or left)
    local text, err, partial = sock:receive(size)
    if not text then
      return nil, err, partial
    end
    left = left - size
    if left == 0 then
      done()
    end
    return text
  end
end

--- Up to the end of the connection.
function M.until_close(sock)
  local over = false
  return function(max)
    if over then
      return nil
    end
    max = limit(max)
    if not max then
      over = true
      return sock:receive("*a")
    end
    local text, err, partial = sock:receive(max)
    if text then
      return text
    elseif err == "closed" then
      over = true
      return partial ~= "" and partial or nil
    end
    return nil, err, partial
  end
end

--- All that a reader gives, or nil, the error and what was read before it.
function M.read_all(reader)
  local parts, n = {}, 0
  while true do
    local text, err = reader()
    if err then
      return nil, err, concat(parts)
    elseif not text then
      return concat(parts)
    end
    n = n + 1
    parts[n] = text
  end
end

--- Sends a body: text, a list of texts, or a function that gives them until nil; `chunked` frames those.
function M.send(sock, body, chunked)
  if type(body) ~= "function" then
    return sock:send(body)
  end
  local text
  repeat
    local err
    text, err = body()
    if not text and err then
      return nil, err
    end
    local piece = text
    if chunked and text == nil then
      piece = "0\r\n\r\n"
    elseif chunked and text ~= "" then
      piece = { ("%x\r\n"):format(#text), text, "\r\n" }
    end
    if piece and piece ~= "" then
      local ok
      ok, err = sock:send(piece)
      if not ok then
        return nil, err
      end
    end
  until text == nil
  return true
end

return M
