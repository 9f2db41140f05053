-- `mime`: base64, quoted-printable, line ends and the dot of SMTP, as LuaSocket has them: functions of what the
-- last piece left and this piece, which answer the text and what this one leaves; and filters made of them.

local ltn12, choose = require("ltn12"), require("socket").choose

local M = { _VERSION = "MIME 1.0.3", encodet = {}, decodet = {}, wrapt = {} }

local cycle = ltn12.filter.cycle

-- What every function here does with its ends: nil, nil for no piece at all; the rest is spent with a nil piece.
local function in_pieces(whole, head)
  return function(before, piece)
    if before == nil then
      return nil, nil
    end
    if piece == nil then
      local last = before ~= "" and whole(before) or ""
      if last == "" then
        return nil, nil
      end
      return last, nil
    end
    local text = before .. piece
    local n = head(text)
    return n > 0 and whole(text:sub(1, n)) or "", text:sub(n + 1)
  end
end

--- Base64 of what three bytes make whole.
M.b64 = in_pieces(function(s)
  return ngx.encode_base64(s)
end, function(s)
  return #s - #s % 3
end)

-- What is padded ends there, and more may follow.
local function decoded(s)
  local out, at, n = {}, 1, 0
  while at <= #s do
    local sign = s:find("=", at, true)
    -- texts begin at a quartet's first character
    local last = sign and sign + (-sign) % 4 or #s
    n = n + 1
    out[n] = ngx.decode_base64(s:sub(at, last)) or ""
    at = last + 1
  end
  return table.concat(out)
end

local unbase64 = in_pieces(decoded, function(s)
  return #s - #s % 4
end)

--- Bytes of what four characters make whole; others than base64's are passed over.
function M.unb64(before, piece)
  return unbase64(before, piece and piece:gsub("[^A-Za-z0-9+/=]", ""))
end

local function hex(c)
  return ("=%02X"):format(c:byte())
end

--- Quoted-printable; `marker` is what a line's end becomes.
function M.qp(before, piece, marker)
  if before == nil then
    return nil, nil
  end
  marker = marker or "\r\n"
  local function quote(text)
    local out, at = {}, 1
    while true do
      local first, last = text:find("\r\n", at, true)
      local line = text:sub(at, first and first - 1 or -1):gsub("[^\t !-<>-~]", hex)
      out[#out + 1] = first and line:gsub("[ \t]$", hex) .. marker or line
      if not first then
        return table.concat(out)
      end
      at = last + 1
    end
  end
  if piece == nil then
    local last = quote(before):gsub("[ \t]$", hex)
    if last == "" then
      return nil, nil
    end
    return last, nil
  end
  local text = before .. piece
  local n = #(text:match("[ \t\r]*$"))
  return quote(text:sub(1, #text - n)), text:sub(#text - n + 1)
end

--- What quoted-printable stands for.
function M.unqp(before, piece)
  if before == nil then
    return nil, nil
  end
  local function plain(s)
    s = s:gsub("[ \t]*\r\n", "\r\n"):gsub("=\r\n", "")
    return (s:gsub("=(%x%x)", function(h) return string.char(tonumber(h, 16)) end))
  end
  if piece == nil then
    local last = plain(before)
    if last == "" then
      return nil, nil
    end
    return last, nil
  end
  local text = before .. piece
  local n = #(text:match("=%x?$") or text:match("=\r$") or text:match("[ \t]*\r?$"))
  return plain(text:sub(1, #text - n)), text:sub(#text - n + 1)
end

--- Lines of `length` characters; `left` are those that the line still takes.
function M.wrp(left, piece, length)
  length = length or 76
  if piece == nil then
    return left < length and "\r\n" or nil, length
  end
  local out = {}
  for c in piece:gmatch(".") do
    if c == "\n" then
      out[#out + 1] = "\r\n"
      left = length
    elseif c ~= "\r" then
      if left <= 0 then
        out[#out + 1] = "\r\n"
        left = length
      end
      out[#out + 1] = c
      left = left - 1
    end
  end
  return table.concat(out), left
end

--- Lines of quoted-printable, broken softly; `=XX` stays whole.
function M.qpwrp(left, piece, length)
  length = length or 76
  if piece == nil then
    return left < length and "=\r\n" or nil, length
  end
  local out = {}
  for c in piece:gmatch(".") do
    if c == "\n" then
      out[#out + 1] = "\r\n"
      left = length
    elseif c ~= "\r" then
      if left <= (c == "=" and 3 or 1) then
        out[#out + 1] = "=\r\n"
        left = length
      end
      out[#out + 1] = c
      left = left - 1
    end
  end
  return table.concat(out), left
end

--- Line ends as `marker`, whichever they are; the context is the character that began one.
function M.eol(before, piece, marker)
  marker = marker or "\r\n"
  if piece == nil then
    return nil, 0
  end
  local out = {}
  for c in piece:gmatch(".") do
    if c == "\r" or c == "\n" then
      local code = c:byte()
      if before == 0 or before == code then
        out[#out + 1] = marker
      end
      before = before == 0 and code or 0
    else
      out[#out + 1] = c
      before = 0
    end
  end
  return table.concat(out), before
end

--- A dot at a line's beginning is doubled; the context is how much of CRLF was there.
function M.dot(state, piece)
  if piece == nil then
    return nil, 2
  end
  local out = {}
  for c in piece:gmatch(".") do
    if c == "\r" then
      state = 1
    elseif c == "\n" then
      state = state == 1 and 2 or 0
    else
      if c == "." and state == 2 then
        out[#out + 1] = "."
      end
      state = 0
    end
    out[#out + 1] = c
  end
  return table.concat(out), state
end

M.encodet["base64"] = function()
  return cycle(M.b64, "")
end
M.encodet["quoted-printable"] = function(mode)
  return cycle(M.qp, "", mode == "binary" and "=0D=0A" or "\r\n")
end
M.decodet["base64"] = function()
  return cycle(M.unb64, "")
end
M.decodet["quoted-printable"] = function()
  return cycle(M.unqp, "")
end
M.wrapt["text"] = function(length)
  return cycle(M.wrp, length or 76, length or 76)
end
M.wrapt["base64"] = M.wrapt["text"]
M.wrapt["default"] = M.wrapt["text"]
M.wrapt["quoted-printable"] = function()
  return cycle(M.qpwrp, 76, 76)
end

M.encode, M.decode, M.wrap = choose(M.encodet), choose(M.decodet), choose(M.wrapt)

function M.normalize(marker)
  return cycle(M.eol, 0, marker)
end

function M.stuff()
  return cycle(M.dot, 2)
end

rawset(_G, "mime", M)

return M
