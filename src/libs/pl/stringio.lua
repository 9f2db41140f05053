-- `pl.stringio`: strings read and written as files are.

local Writer = {}
Writer.__index = Writer

function Writer:write(...)
  for i = 1, select("#", ...) do
    self[#self + 1] = tostring((select(i, ...)))
  end
  return self
end

function Writer:writef(fmt, ...)
  return self:write(fmt:format(...))
end

function Writer:value()
  return table.concat(self)
end

Writer.__tostring = Writer.value
function Writer:close() end
function Writer:seek() end

local Reader = {}
Reader.__index = Reader

local function line(self, keep)
  if self.at > #self.text then
    return nil
  end
  local stop = self.text:find("\n", self.at, true)
  local got = self.text:sub(self.at, (stop or #self.text + 1) - 1)
  self.at = (stop or #self.text) + 1
  return keep and stop and got .. "\n" or got
end

local function one(self, fmt)
  if type(fmt) == "number" then
    if self.at > #self.text then
      return fmt == 0 and self.at <= #self.text and "" or nil
    end
    local got = self.text:sub(self.at, self.at + fmt - 1)
    self.at = self.at + #got
    return got
  end
  fmt = fmt:gsub("^%*", "")
  if fmt == "a" then
    local got = self.text:sub(self.at)
    self.at = #self.text + 1
    return got
  elseif fmt == "n" then
    local from, to = self.text:find("^%s*[%+%-]?[%d%.]+[eE]?[%+%-]?%d*", self.at)
    if not from then
      return nil
    end
    self.at = to + 1
    return tonumber(self.text:sub(from, to))
  end
  return line(self, fmt == "L")
end

function Reader:read(...)
  local n = select("#", ...)
  if n == 0 then
    return one(self, "l")
  end
  local out = {}
  for i = 1, n do
    out[i] = one(self, (select(i, ...)))
    if out[i] == nil then
      return unpack(out, 1, i)
    end
  end
  return unpack(out, 1, n)
end

function Reader:lines(fmt)
  return function()
    return one(self, fmt or "l")
  end
end

function Reader:seek(whence, offset)
  local base = whence == "set" and 1 or whence == "end" and #self.text + 1 or self.at
  self.at = base + (offset or 0)
  return self.at - 1
end

function Reader:close() end

return {
  create = function()
    return setmetatable({}, Writer)
  end,
  open = function(text)
    return setmetatable({ text = text, at = 1 }, Reader)
  end,
}
