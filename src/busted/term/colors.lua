-- ANSI colours: `colors.red("text")`.

local CODES = {
  reset = 0, clear = 0, bright = 1, dim = 2, underscore = 4, blink = 5, reverse = 7, hidden = 8,
  black = 30, red = 31, green = 32, yellow = 33, blue = 34, magenta = 35, cyan = 36, white = 37,
  onblack = 40, onred = 41, ongreen = 42, onyellow = 43, onblue = 44, onmagenta = 45, oncyan = 46, onwhite = 47,
}

local colors = {}
for name, code in pairs(CODES) do
  local start = ("\27[%dm"):format(code)
  colors[name] = function(text)
    return start .. tostring(text) .. "\27[0m"
  end
end

return colors
