-- `ltn12`: sources, sinks, filters and pumps (LTN012), as LuaSocket has them.
--
-- A source answers a piece, or nil at the end, or nil and an error. A sink takes a piece, or nil at the end, and
-- answers 1, or nil and an error. A filter makes of a piece another; nil is the end, after which it gives its rest.

-- LuaSocket's own is a global, too, and plugins use it so.
local M = { filter = {}, source = {}, sink = {}, pump = {}, BLOCKSIZE = 2048, _VERSION = "LTN12 1.0.3" }

local filter, source, sink, pump = M.filter, M.source, M.sink, M.pump
local concat, select = table.concat, select

local function given(value, what)
  if not value then
    error("no " .. what .. " given", 3)
  end
  return value
end

--- A filter of a function of context and piece, which answers a piece and the next context.
function filter.cycle(low, first, extra)
  given(low, "filter")
  local context = first
  local function remember(text, following)
    context = following
    return text
  end
  return function(piece)
    return remember(low(context, piece, extra))
  end
end

-- All of what a filter gives for a piece: for the end, until it has no more.
local function drained(f, piece)
  local out = f(piece)
  if piece ~= nil or out == nil then
    return out
  end
  local all = {}
  while out ~= nil do
    all[#all + 1] = out
    if out == "" then
      break
    end
    out = f(nil)
  end
  return concat(all)
end

--- Filters one behind the other.
function filter.chain(...)
  local filters, n = { ... }, select("#", ...)
  local over = false
  return function(piece)
    if piece ~= nil then
      for i = 1, n do
        piece = filters[i](piece)
        if piece == nil then
          return nil
        end
      end
      return piece
    elseif over then
      return nil
    end
    over = true
    -- what one still held goes through those behind it, before these are told of the end
    local rest = ""
    for i = 1, n do
      local passed = rest ~= "" and filters[i](rest) or ""
      rest = passed .. (drained(filters[i], nil) or "")
    end
    return rest
  end
end

local function nothing()
  return nil
end

function source.empty()
  return nothing
end

function source.error(err)
  return function()
    return nil, err
  end
end

--- Reads an open file, which it closes at the end.
function source.file(handle, err)
  if not handle then
    return source.error(err or "unable to open file")
  end
  return function()
    local piece = handle:read(M.BLOCKSIZE)
    if not piece then
      handle:close()
    end
    return piece
  end
end

-- Stands for a function that may name its successor beside its first value; what is behind a false one is an error.
-- A true one is answered as it is, or as `instead`.
local function succeeded(fancy, instead)
  local current = fancy
  local function settle(value, second)
    if not value then
      return nil, second
    end
    current = second or current
    return instead or value
  end
  return function(...)
    return settle(current(...))
  end
end

--- A source whose function may answer another one that follows it.
function source.simplify(fancy)
  return succeeded(given(fancy, "source"))
end

--- The text in pieces of a block.
function source.string(text)
  if not text then
    return source.empty()
  end
  local given_out, size = 0, #text
  return function()
    if given_out >= size then
      return nil
    end
    local from = given_out + 1
    given_out = math.min(given_out + M.BLOCKSIZE, size)
    return text:sub(from, given_out)
  end
end

--- What the table has under 1, 2, 3 and so on.
function source.table(list)
  if type(list) ~= "table" then
    error("a table expected, got " .. type(list), 2)
  end
  local taken = 0
  local function take(piece)
    taken = piece ~= nil and taken + 1 or taken
    return piece
  end
  return function()
    return take(list[taken + 1])
  end
end

--- A source that takes pieces back, the last first.
function source.rewind(src)
  given(src, "source")
  local returned, n = {}, 0
  return function(piece)
    if piece then
      n = n + 1
      returned[n] = piece
      return nil
    elseif n == 0 then
      return src()
    end
    piece, returned[n] = returned[n], nil
    n = n - 1
    return piece
  end
end

--- A source and filters behind it.
function source.chain(src, f, ...)
  if ... then
    f = filter.chain(f, ...)
  end
  assert(src and f)
  local ended, state = false, nil
  return function()
    while not state do
      local piece, err = nil, nil
      if not ended then
        piece, err = src()
        if err then
          return nil, err
        end
        ended = piece == nil
      end
      local out = f(piece)
      if out == nil then
        state = "over"
      elseif out ~= "" then
        return out
      elseif ended then
        state = "over"
      end
    end
    return nil
  end
end

--- One source after the other.
function source.cat(...)
  local list, at = { ... }, 1
  return function()
    while list[at] do
      local piece, err = list[at]()
      if piece or err then
        return piece, err
      end
      at = at + 1
    end
  end
end

--- Gathers the pieces; answers the sink and the table.
function sink.table(t)
  t = t or {}
  return function(piece)
    if piece then
      t[#t + 1] = piece
    end
    return 1
  end, t
end

--- A sink whose function may answer another one that follows it.
function sink.simplify(fancy)
  return succeeded(given(fancy, "sink"), 1)
end

--- Writes to an open file, which it closes at the end.
function sink.file(handle, err)
  if not handle then
    return sink.error(err or "unable to open file")
  end
  return function(piece)
    if not piece then
      handle:close()
      return 1
    end
    return handle:write(piece)
  end
end

function sink.null()
  return function()
    return 1
  end
end

function sink.error(err)
  return function()
    return nil, err
  end
end

--- Filters and a sink behind them, which comes last.
function sink.chain(f, ...)
  local snk = select(-1, ...)
  local n = select("#", ...)
  if n > 1 then
    f = filter.chain(f, unpack({ ... }, 1, n - 1))
  end
  assert(f and snk)
  return function(piece, err)
    if piece == "" then
      return 1
    end
    local out = f(piece)
    if out and out ~= "" then
      local ok, failed = snk(out, err)
      if not ok then
        return nil, failed
      end
    end
    if piece == nil then
      if out and out ~= "" then
        local rest = drained(f, nil)
        if rest and rest ~= "" then
          snk(rest, err)
        end
      end
      return snk(nil, err)
    end
    return 1
  end
end

local function hand(snk, piece, failure)
  local taken, refusal = snk(piece, failure)
  if not taken then
    return nil, failure or refusal
  elseif not piece then
    return nil, failure
  end
  return 1
end

--- One piece from source to sink: 1, nil at the end, or nil and an error.
function pump.step(src, snk)
  return hand(snk, src())
end

--- All of them: 1, or nil and an error.
function pump.all(src, snk, step)
  given(src, "source")
  given(snk, "sink")
  local advance = step or pump.step
  local going, failure
  repeat
    going, failure = advance(src, snk)
  until not going
  if failure then
    return nil, failure
  end
  return 1
end

rawset(_G, "ltn12", M)

return M
