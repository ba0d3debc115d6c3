"""What a modular input has to do with the splunkd that started it."""
