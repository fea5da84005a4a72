export {
  bankPicker,
  logInButton,
  type ButtonOptions,
  type PickableBank,
  type PickerOptions,
} from './picker.js'
export { pickerStylesheet } from './stylesheet.js'
